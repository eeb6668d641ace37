/**
 A recommender for iOS and macOS: one file of jaxrec, run by LiteRT's CompiledModel.

     let recommender = try Recommender(contentsOf: url)
     for each in try recommender.recommend([1193, 661, 914], k: 5) {
         print(each.entry.item, each.entry.title ?? "", each.score)
     }
 */

import Foundation
import LiteRT

/**
 A recommender on raw items. Histories run from the oldest to the most recent item.

 Only the last N known items of a history are read. Unknown items are skipped; an empty history
 results in the popular items. A list has no item of the whole history, unless the file was exported
 to keep seen items. Any number of threads may call at once: the calls take turns.

 Features, adapters, ratings and batches are not supported: a file with features, or with several
 histories per call, is an error.
 */
public final class Recommender: @unchecked Sendable {
    /// The raw items of the model, the most popular of its first training first.
    public let items: [Item]

    private let file: ModelFile
    private let idOf: [Item: Int32]
    private let recommendRunner: SignatureRunner
    private let scoreRunner: SignatureRunner
    private let lock = NSLock()

    /// Loads a recommender from one file, after verifying its integrity.
    public init(contentsOf url: URL) throws {
        let file = try ModelFile(contentsOf: url)
        self.file = file
        items = file.items
        idOf = Dictionary(zip(file.items, Int32(1)...), uniquingKeysWith: { first, _ in first })
        let model = try CompiledModel(filePath: url.path, environment: LiteRT.Environment())
        recommendRunner = try SignatureRunner(model: model, name: "recommend")
        scoreRunner = try SignatureRunner(model: model, name: "score")
    }

    /// Returns whether the model knows an item.
    public func knows(_ item: Item) -> Bool { idOf[item] != nil }

    /// Returns the catalogue entry of an item, nil if the model does not know it.
    public func describe(_ item: Item) throws -> Entry? {
        lock.lock()
        defer { lock.unlock() }
        return try idOf[item].map { try file.catalogue.entry(of: $0) }
    }

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
        guard k >= 1, k <= self.items.count else {
            throw Failure(message: "k=\(k) is out of range; give 1 to \(self.items.count)")
        }
        let ids = items.map { idOf[$0] ?? 0 }
        if unknown == .error { try requireAnyKnown(items, what: "items") }
        if let candidates { try requireAnyKnown(candidates, what: "candidates") }
        let known = ids.filter { $0 != 0 }.suffix(file.model.historyLength)
        let padding = [Int32](repeating: 0, count: file.model.historyLength - known.count)
        var excluded = Set(exclude.map { idOf[$0] ?? 0 }).union([0])
        if !file.model.keepSeen { excluded.formUnion(ids) }

        lock.lock()
        defer { lock.unlock() }
        let list = try rank(padding + known, candidates?.map { idOf[$0] ?? 0 }, excluded, k)
        return try list.map { id, score in
            Recommendation(entry: try file.catalogue.entry(of: id), score: score)
        }
    }

    private typealias ScoredId = (id: Int32, score: Float)

    /// Ranks the candidates; if there are none, the file's own list is used where it is sufficient.
    private func rank(
        _ history: [Int32], _ candidates: [Int32]?, _ excluded: Set<Int32>, _ k: Int
    ) throws -> [ScoredId] {
        if candidates == nil {
            try recommendRunner.run(history: history)
            let ids: [Int32] = try recommendRunner.output("ids")
            let scores: [Float] = try recommendRunner.output("scores")
            let allowed = zip(ids, scores).filter { !excluded.contains($0.0) }
            if allowed.count >= k { return allowed.prefix(k).map { (id: $0.0, score: $0.1) } }
        }
        let all = candidates.map { Set($0) } ?? Set(Int32(1)...Int32(items.count))
        let allowed = all.subtracting(excluded).sorted()
        var scored: [ScoredId] = []
        let width = file.model.candidates
        for start in stride(from: 0, to: allowed.count, by: width) {
            let part = Array(allowed[start..<min(start + width, allowed.count)])
            let padding = [Int32](repeating: 0, count: width - part.count)
            try scoreRunner.run(history: history, candidates: part + padding)
            let scores: [Float] = try scoreRunner.output("scores")
            scored += zip(part, scores).map { (id: $0.0, score: $0.1) }
        }
        // Among equal scores, lower ids come first.
        return Array(scored.sorted { ($1.score, $0.id) < ($0.score, $1.id) }.prefix(k))
    }

    /// Throws if there are items and all are unknown, usually since their type is another one.
    private func requireAnyKnown(_ items: [Item], what: String) throws {
        guard let first = items.first, !items.contains(where: knows) else { return }
        throw Failure(
            message: "all \(what) are unknown, such as \(first); the model has "
                + "\(self.items.count) items, such as \(self.items[0])")
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

/// One signature of a graph, with its inputs and outputs.
private final class SignatureRunner {
    private let model: CompiledModel
    private let index: Int
    private let inputNames: [String]
    private let outputNames: [String]
    private var inputs: [TensorBuffer]
    private var outputs: [TensorBuffer]

    init(model: CompiledModel, name: String) throws {
        guard let index = try model.signatureKeys().firstIndex(of: name) else {
            throw Recommender.Failure(
                message: "the file has no signature `\(name)`; export its run again")
        }
        self.model = model
        self.index = index
        inputs = try model.createInputBuffers(signatureIndex: index)
        outputs = try model.createOutputBuffers(signatureIndex: index)
        inputNames = try inputs.indices.map {
            try model.inputName(inputIndex: $0, signatureIndex: index)
        }
        outputNames = try outputs.indices.map {
            try model.outputName(outputIndex: $0, signatureIndex: index)
        }
    }

    deinit {
        // Before the model, and with it the environment that made them.
        inputs.removeAll()
        outputs.removeAll()
    }

    func run(history: [Int32], candidates: [Int32] = []) throws {
        for (name, buffer) in zip(inputNames, inputs) {
            switch name {
            case "history": try buffer.write(history)
            case "candidates": try buffer.write(candidates)
            // An adapter of zeros leaves the model as it was shipped.
            default: try buffer.write([Float](repeating: 0, count: buffer.size / 4))
            }
        }
        try model.run(inputs: inputs, outputs: outputs, signatureIndex: index)
    }

    func output<Element>(_ name: String) throws -> [Element] {
        guard let position = outputNames.firstIndex(of: name) else {
            throw Recommender.Failure(message: "the graph has no output `\(name)`")
        }
        return try outputs[position].read()
    }
}
