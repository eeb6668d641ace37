/**
 The content of a model file: a flatbuffer followed by a zip archive with the vocabulary, the
 catalogue and model.json.
 */

import CryptoKit
import Foundation

/// The versions of the layout that are read; the current one is the last.
private let formats = 2...3

/// A limit against zip bombs; members of a file are far smaller.
private let maxMemberBytes = 1 << 28

extension Recommender {
    /// The content of one file, without the graph, which LiteRT reads itself.
    struct ModelFile {
        let items: [Item]
        let catalogue: Catalogue
        let model: Model

        /// Reads a file, and verifies its integrity.
        init(contentsOf url: URL) throws {
            let path = url.lastPathComponent
            let content = try Data(contentsOf: url)
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            do {
                let members = try readMembers(of: content)
                let about = try members.content("model.json")
                let format = try decoder.decode(Format.self, from: about).format
                guard formats.contains(format) else {
                    throw Failure(
                        message: "\(path) has format \(format), this version reads "
                            + "\(formats.upperBound); export its run again")
                }
                model = try decoder.decode(Model.self, from: about)
                let graph = content.prefix(max(0, model.graph.bytes))
                guard sha256(graph) == model.graph.sha256 else {
                    throw Damage(cause: "the hash of its graph differs")
                }
                let vocabulary = try members.content("vocabulary.json")
                items = try decoder.decode(Vocabulary.self, from: vocabulary).values
                catalogue = try Catalogue(items, members.content("catalogue.jsonl"))
            } catch let failure as Failure {
                throw failure
            } catch let damage as Damage {
                throw Failure(message: "\(path) is damaged (\(damage.cause)); export its run again")
            } catch is NoArchive {
                throw Failure(
                    message: "\(path) is not a jaxrec model, or is truncated; export it with "
                        + "`jaxrec export`")
            } catch {  // of the decoder or the decompression
                throw Failure(
                    message: "\(path) is damaged (\(error.localizedDescription)); export its run "
                        + "again")
            }
            guard model.batchSize == 1, model.features?.isEmpty ?? true else {
                throw Failure(
                    message: "\(path) takes features or several histories per call, which this "
                        + "library does not support")
            }
        }
    }

    /// The fields of model.json that are used here.
    struct Model: Decodable {
        struct Graph: Decodable {
            let bytes: Int
            let sha256: String
        }

        struct Feature: Decodable {
            let name: String
        }

        let batchSize: Int
        let historyLength: Int
        let candidates: Int
        let keepSeen: Bool
        let features: [Feature]?
        let graph: Graph
    }

    /// The titles, genres and years of all items, decoded a block at a time. Calls must take turns.
    final class Catalogue {
        private let items: [Item]
        private let head: Head
        private let lines: [Data]
        private var blocks: [Int: Block] = [:]

        /// Reads the content of catalogue.jsonl: a line of the genres, then a line for each block.
        init(_ items: [Item], _ content: Data) throws {
            let lines = content.split(separator: UInt8(ascii: "\n"))
            guard let first = lines.first else { throw Damage(cause: "its catalogue is empty") }
            let head = try JSONDecoder().decode(Head.self, from: first)
            let blockCount = (items.count + head.block - 1) / max(1, head.block)
            guard head.items == items.count, lines.count - 1 == blockCount else {
                throw Damage(cause: "its catalogue has \(head.items) items, not \(items.count)")
            }
            self.items = items
            self.head = head
            self.lines = Array(lines.dropFirst())
        }

        /// Returns the entry of an id, which counts from 1.
        func entry(of id: Int32) throws -> Entry {
            let index = Int(id) - 1
            let number = index / head.block
            let offset = index % head.block
            let block = try blocks[number] ?? JSONDecoder().decode(Block.self, from: lines[number])
            blocks[number] = block
            return Entry(
                item: items[index],
                title: block.title?[offset],
                genres: block.genres?[offset]?.map { head.genres[$0] },
                year: block.year?[offset])
        }

        private struct Head: Decodable {
            let items: Int
            let block: Int
            let genres: [String]
        }

        private struct Block: Decodable {
            let title: [String?]?
            let genres: [[Int]?]?
            let year: [Int?]?
        }
    }
}

private struct Format: Decodable {
    let format: Int
}

private struct Vocabulary: Decodable {
    let values: [Recommender.Item]
}

/// Thrown for a file without an archive at its end.
private struct NoArchive: Error {}

/// Thrown for a file whose content contradicts itself.
private struct Damage: Error {
    let cause: String
}

extension [String: Data] {
    fileprivate func content(_ name: String) throws -> Data {
        guard let found = self[name] else { throw Damage(cause: "it has no \(name)") }
        return found
    }
}

/// Returns the members of the archive at the end of a file, after checking their checksums.
private func readMembers(of file: Data) throws -> [String: Data] {
    /// Returns a little-endian number.
    func number(at offset: Int, bytes count: Int) throws -> Int {
        guard offset >= 0, offset + count <= file.count else { throw NoArchive() }
        return file[offset..<offset + count].reversed().reduce(0) { $0 << 8 | Int($1) }
    }
    func slice(from start: Int, count: Int) throws -> Data {
        guard start >= 0, start + count <= file.count else { throw NoArchive() }
        return file[start..<start + count]
    }
    let endSignature = Data([0x50, 0x4b, 0x05, 0x06])
    guard let end = file.range(of: endSignature, options: .backwards)?.lowerBound else {
        throw NoArchive()
    }
    var members: [String: Data] = [:]
    var position = try number(at: end + 16, bytes: 4)
    let count = try number(at: end + 10, bytes: 2)
    for _ in 0..<count {
        guard try number(at: position, bytes: 4) == 0x0201_4b50 else { throw NoArchive() }
        let nameLength = try number(at: position + 28, bytes: 2)
        let extraLength = try number(at: position + 30, bytes: 2)
        let commentLength = try number(at: position + 32, bytes: 2)
        let local = try number(at: position + 42, bytes: 4)
        let localNameLength = try number(at: local + 26, bytes: 2)
        let localExtraLength = try number(at: local + 28, bytes: 2)
        let start = local + 30 + localNameLength + localExtraLength
        let stored = try slice(from: start, count: number(at: position + 20, bytes: 4))
        let size = try number(at: position + 24, bytes: 4)
        let isDeflated = try number(at: position + 10, bytes: 2) == 8
        guard size <= maxMemberBytes else { throw Damage(cause: "a member is too large") }
        let content = isDeflated ? try inflate(stored) : stored
        let checksum = try number(at: position + 16, bytes: 4)
        guard content.count == size, crc32(content) == checksum else { throw NoArchive() }
        let name = try slice(from: position + 46, count: nameLength)
        members[String(decoding: name, as: UTF8.self)] = content
        position += 46 + nameLength + extraLength + commentLength
    }
    return members
}

/// Decompresses raw DEFLATE data, as members of an archive are stored; Apple calls it zlib.
private func inflate(_ data: Data) throws -> Data {
    try (data as NSData).decompressed(using: .zlib) as Data
}

private func crc32(_ data: Data) -> Int {
    var crc = UInt32.max
    for byte in data {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = (crc >> 1) ^ (crc & 1 == 1 ? 0xedb8_8320 : 0) }
    }
    return Int(~crc)
}

private func sha256(_ data: Data) -> String {
    SHA256.hash(data: data).map { String(format: "%02x", $0) }.joined()
}
