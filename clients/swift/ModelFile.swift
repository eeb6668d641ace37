/**
 The content of a model file: a flatbuffer followed by a zip archive with the vocabulary, the
 catalogue and model.json.
 */

import Foundation

/// The versions of the layout that are read; the current one is the last.
private let formats = 2...3

extension Recommender {
    /// The content of one file, without the graph, which LiteRT reads itself.
    struct ModelFile {
        let items: [Item]
        let catalogue: Catalogue
        let model: Model
        let release: Release
        /// The hash of the whole file.
        let hash: String

        /**
         Parses the content of a file, and verifies its integrity.

         - Parameters:
           - name: the name of the file in messages.
           - publicKey: the PEM text of the key of its publisher; nil: any file is accepted.
         */
        init(_ content: Data, name: String, publicKey: String?) throws {
            let key = try publicKey.map(Recommender.parsePublicKey)
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            do {
                let archive = try Archive(of: content)
                let about = try archive.content("model.json")
                let format = try decoder.decode(Format.self, from: about).format
                guard formats.contains(format) else {
                    throw Failure(
                        message: "\(name) has format \(format), this version reads "
                            + "\(formats.upperBound); export its run again")
                }
                model = try decoder.decode(Model.self, from: about)
                release = try JSONDecoder().decode(Release.self, from: about)
                let graph = content.prefix(max(0, model.graph.bytes))
                guard Recommender.sha256(graph) == model.graph.sha256 else {
                    throw Damage(cause: "the hash of its graph differs")
                }
                try Recommender.requireMembers(archive, release, start: graph.count)
                if let key { try Recommender.requireSignature(archive, release, key, name: name) }
                let vocabulary = try archive.content("vocabulary.json")
                items = try decoder.decode(Vocabulary.self, from: vocabulary).values
                catalogue = try Catalogue(items, archive.content("catalogue.jsonl"))
                hash = Recommender.sha256(content)
            } catch let failure as Failure {
                throw failure
            } catch is NoArchive {
                throw Failure(
                    message: "\(name) is not a jaxrec model, or is truncated; export it with "
                        + "`jaxrec export`")
            } catch {
                // Also of the decoder or the decompression.
                let cause = (error as? Damage)?.cause ?? error.localizedDescription
                throw Failure(
                    message: "\(name) is damaged (\(cause)); copy it again, or export its run "
                        + "again")
            }
            guard model.batchSize == 1, model.features?.isEmpty ?? true else {
                throw Failure(
                    message: "\(name) takes features or several histories per call, which this "
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

    /// The fields of model.json that order the versions of a file and prove that it is complete.
    struct Release: Decodable {
        let sequence: Int?
        let created: String?
        /// The hashes of the members by name; older files have none.
        let members: [String: String]?

        /// The place among the versions of a file; those without one come first.
        var place: (sequence: Int, created: String) { (sequence ?? 0, created ?? "") }
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
