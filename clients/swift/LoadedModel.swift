/**
 A model that is ready to answer, and the checks of one before it replaces another.
 */

import Foundation
import LiteRT

extension Recommender {
    /// The model of one file. Any number of threads may call at once: the calls take turns.
    final class LoadedModel {
        let file: ModelFile
        let idOf: [Item: Int32]

        private let recommendRunner: SignatureRunner
        private let scoreRunner: SignatureRunner
        private let lock = NSLock()

        /// Loads the graph of a file, whose content is at `url`.
        init(_ file: ModelFile, at url: URL) throws {
            self.file = file
            idOf = Dictionary(zip(file.items, Int32(1)...), uniquingKeysWith: { first, _ in first })
            let model = try CompiledModel(filePath: url.path, environment: LiteRT.Environment())
            recommendRunner = try SignatureRunner(model: model, name: "recommend")
            scoreRunner = try SignatureRunner(model: model, name: "score")
        }

        /// Returns the result of `Recommender.describe`.
        func describe(_ item: Item) throws -> Entry? {
            lock.lock()
            defer { lock.unlock() }
            return try idOf[item].map { try file.catalogue.entry(of: $0) }
        }

        /// Returns the result of `Recommender.recommend`.
        func recommend(
            _ items: [Item],
            k: Int,
            exclude: [Item] = [],
            candidates: [Item]? = nil,
            unknown: Unknown = .error
        ) throws -> [Recommendation] {
            guard k >= 1, k <= file.items.count else {
                throw Failure(message: "k=\(k) is out of range; give 1 to \(file.items.count)")
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

        /// Ranks the candidates; without any, the file's own list is used where it is sufficient.
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
            let all = candidates.map { Set($0) } ?? Set(Int32(1)...Int32(file.items.count))
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
            guard let first = items.first, items.allSatisfy({ idOf[$0] == nil }) else { return }
            throw Failure(
                message: "all \(what) are unknown, such as \(first); the model has "
                    + "\(file.items.count) items, such as \(file.items[0])")
        }
    }

    /// Throws if a file precedes the one in use, by `sequence` and then `created`.
    static func requireNotOlder(
        _ new: ModelFile, than current: ModelFile, name: String
    ) throws {
        let (place, currentPlace) = (new.release.place, current.release.place)
        guard place < currentPlace else { return }
        func text(_ place: (sequence: Int, created: String)) -> String {
            let created = place.created.isEmpty ? "at an unknown time" : place.created
            return "sequence \(place.sequence), created \(created)"
        }
        throw Failure(
            message: "\(name) is older than the model in use: \(text(place)), not "
                + "\(text(currentPlace)); give rollback: true to return to it")
    }

    /// Loads a file, and checks that it recommends to new users and after a history.
    static func loadProven(_ file: ModelFile, at url: URL, name: String) throws -> LoadedModel {
        do {
            let loaded = try LoadedModel(file, at: url)
            // A model that excludes the history has no item to recommend after a history of all.
            let first = file.items.prefix(min(file.model.historyLength, file.items.count - 1))
            let histories: [(String, [Item])] = [
                ("an empty history", []), ("the first items", Array(first)),
            ]
            for (what, history) in histories {
                let list = try loaded.recommend(history, k: min(10, file.items.count))
                guard !list.isEmpty else {
                    throw Failure(message: "no item is recommended after \(what)")
                }
                guard list.allSatisfy({ $0.score.isFinite }) else {
                    throw Failure(message: "a score after \(what) is not finite")
                }
            }
            return loaded
        } catch {
            throw Failure(
                message: "\(name) does not answer (\(error.localizedDescription)); export its run "
                    + "again")
        }
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
