/**
 A recommender for iOS and macOS: one file of jaxrec, run by LiteRT's CompiledModel.

     let recommender = try Recommender(contentsOf: url)
     for each in try recommender.recommend([1193, 661, 914], k: 5) {
         print(each.entry.item, each.entry.title ?? "", each.score)
     }
 */

import Foundation

/**
 A recommender on raw items. Histories run from the oldest to the most recent item.

 Only the last N known items of a history are read. Unknown items are skipped; an empty history
 results in the popular items. A list has no item of the whole history, unless the file was exported
 to keep seen items. Any number of threads may call at once: the calls take turns.

 Features, adapters, ratings and batches are not supported: a file with features, or with several
 histories per call, is an error.
 */
public final class Recommender: @unchecked Sendable {
    private let url: URL
    private let publicKey: String?
    /// Held by an update: they take turns.
    private let updates = NSLock()
    /// Held while `loaded` is read or replaced.
    private let lock = NSLock()
    private var loaded: LoadedModel

    /**
     Loads a recommender from one file, after verifying its integrity.

     - Parameters:
       - url: the file.
       - publicKey: the PEM text of the Ed25519 key of the publisher, which must have signed this
         file and those of `update`; nil: any file is accepted.
     */
    public init(contentsOf url: URL, publicKey: String? = nil) throws {
        self.url = url
        self.publicKey = publicKey
        let file = try ModelFile(
            Data(contentsOf: url), name: url.lastPathComponent, publicKey: publicKey)
        loaded = try LoadedModel(file, at: url)
    }

    /**
     Replaces the model by that of another file, while threads call.

     The new file must be complete, signed if there is a key, not older, and answer. Its content
     then replaces the file that was loaded, which must be in a folder that the app may write. If it
     is refused, nothing changes. A call is answered by one of the two models; the memory of the old
     one is freed after its last call.

     - Parameters:
       - source: the new file, such as a download.
       - publicKey: by default that of `init`.
       - rollback: whether to accept an older file.
     - Returns: false if the file is the one in use.
     */
    @discardableResult
    public func update(
        contentsOf source: URL, publicKey: String? = nil, rollback: Bool = false
    ) throws -> Bool {
        updates.lock()
        defer { updates.unlock() }
        let name = source.lastPathComponent
        let content = try Data(contentsOf: source)
        let file = try ModelFile(content, name: name, publicKey: publicKey ?? self.publicKey)
        let old = current.file
        if file.hash == old.hash { return false }
        if !rollback { try Recommender.requireNotOlder(file, than: old, name: name) }
        let written = url.appendingPathExtension("part")
        defer { try? FileManager.default.removeItem(at: written) }
        try writeToDisk(content, to: written)
        // LiteRT opens what was verified, and keeps it when it is renamed.
        let new = try Recommender.loadProven(file, at: written, name: name)
        guard rename(written.path, url.path) == 0 else {
            throw Failure(
                message: "\(url.lastPathComponent) cannot be replaced "
                    + "(\(String(cString: strerror(errno))))")
        }
        lock.lock()
        loaded = new
        lock.unlock()
        return true
    }

    /// The raw items of the model, the most popular of its first training first.
    public var items: [Item] { current.file.items }

    /// Returns whether the model knows an item.
    public func knows(_ item: Item) -> Bool { current.idOf[item] != nil }

    /// Returns the catalogue entry of an item, nil if the model does not know it.
    public func describe(_ item: Item) throws -> Entry? { try current.describe(item) }

    /**
     Returns the top k items after a history, best first; ties in the order of `items`.

     - Parameters:
       - items: the history.
       - k: 1 to the number of items.
       - exclude: the items to exclude in addition to the history.
       - candidates: the only items to rank; by default every item.
       - unknown: the result for a history of unknown items alone.
     */
    public func recommend(
        _ items: [Item],
        k: Int = 10,
        exclude: [Item] = [],
        candidates: [Item]? = nil,
        unknown: Unknown = .error
    ) throws -> [Recommendation] {
        try current.recommend(
            items, k: k, exclude: exclude, candidates: candidates, unknown: unknown)
    }

    /// The model of now. A call keeps it to its end, also if it is replaced meanwhile.
    private var current: LoadedModel {
        lock.lock()
        defer { lock.unlock() }
        return loaded
    }
}

extension Recommender {
    /// A raw item, as in the log. Literals convert: `1193` is a number, `"A12"` is text.
    public enum Item: Hashable, Decodable, ExpressibleByIntegerLiteral, ExpressibleByStringLiteral {
        case number(Int)
        case text(String)

        public init(integerLiteral value: Int) { self = .number(value) }

        public init(stringLiteral value: String) { self = .text(value) }

        public init(from decoder: Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let value = try? container.decode(Int.self) {
                self = .number(value)
            } else {
                self = .text(try container.decode(String.self))
            }
        }
    }

    /// An item of the catalogue; unknown values are nil.
    public struct Entry {
        public let item: Item
        public let title: String?
        public let genres: [String]?
        public let year: Int?
    }

    /// One recommended item. A higher score is better; scores are comparable within one list.
    public struct Recommendation {
        public let entry: Entry
        public let score: Float
    }

    /// The result for a history whose items are all unknown: an error, or the popular items.
    public enum Unknown {
        case error
        case popular
    }

    /// Thrown for a file or an argument that is not valid; the message says what to do about it.
    public struct Failure: LocalizedError {
        public let message: String

        public var errorDescription: String? { message }
    }
}

/// Writes a file to the disk.
private func writeToDisk(_ content: Data, to url: URL) throws {
    try content.write(to: url)
    let handle = try FileHandle(forWritingTo: url)
    try handle.synchronize()
    try handle.close()
}
