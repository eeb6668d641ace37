/**
 The zip archive at the end of a file.
 */

import Foundation

/// A limit against zip bombs; members of a file are far smaller.
private let maxMemberBytes = 1 << 28

extension Recommender {
    /// Thrown for a file without an archive at its end.
    struct NoArchive: Error {}

    /// Thrown for a file whose content contradicts itself.
    struct Damage: Error {
        let cause: String
    }

    /// The archive at the end of a file.
    struct Archive {
        /// The contents of the members by name.
        let members: [String: Data]
        /// The position of the first member in the file.
        let start: Int

        /// Reads the archive at the end of a file, and checks the checksums of its members.
        init(of file: Data) throws {
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
            var first = file.count
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
                let begin = local + 30 + localNameLength + localExtraLength
                let stored = try slice(from: begin, count: number(at: position + 20, bytes: 4))
                let size = try number(at: position + 24, bytes: 4)
                let isDeflated = try number(at: position + 10, bytes: 2) == 8
                guard size <= maxMemberBytes else { throw Damage(cause: "a member is too large") }
                let content = isDeflated ? try inflate(stored) : stored
                let checksum = try number(at: position + 16, bytes: 4)
                guard content.count == size, crc32(content) == checksum else { throw NoArchive() }
                let name = String(
                    decoding: try slice(from: position + 46, count: nameLength), as: UTF8.self)
                guard members.updateValue(content, forKey: name) == nil else {
                    throw Damage(cause: "it has two members of one name")
                }
                first = min(first, local)
                position += 46 + nameLength + extraLength + commentLength
            }
            self.members = members
            start = first
        }

        func content(_ name: String) throws -> Data {
            guard let found = members[name] else { throw Damage(cause: "it lacks \(name)") }
            return found
        }
    }
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
