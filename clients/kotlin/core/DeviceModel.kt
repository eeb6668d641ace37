/** The graph of a file, with a function for each signature, on any number of examples. */
package jaxrec

/** The model's own list for one history: ids and scores, best first. */
internal class RankedItems(val ids: IntArray, val scores: FloatArray)

/**
 * A graph that is ready to run. Concurrent calls wait for each other: an engine has one set of
 * inputs and outputs.
 */
internal class DeviceModel(
    private val engine: Engine,
    private val signatures: Map<String, Signature>,
) : AutoCloseable {
    /** The inputs for a history and its features. */
    val historyPorts: Map<String, Port> = signatures.getValue("recommend").inputs
    val historyLength: Int = historyPorts.getValue(HISTORY).width
    val topK: Int = signatures.getValue("recommend").outputs.getValue("ids").width

    /** The width of a query, D. */
    val width: Int = signatures.getValue("encode").outputs.getValue("context").width

    private val batchSize = historyPorts.getValue(HISTORY).shape[0]

    fun has(signature: String): Boolean = signature in signatures

    /** Returns the model's own list for each history. */
    fun recommend(rows: List<Row>): List<RankedItems> = runAll("recommend", rows).map {
        RankedItems((it.getValue("ids") as IntTensor).values, it.floats("scores"))
    }

    /** Returns the query of a history, [D]. */
    fun encode(row: Row): FloatArray = runAll("encode", listOf(row))[0].floats("context")

    /** Returns the score of each candidate after a history. */
    fun score(row: Row, candidates: IntArray): FloatArray =
        runOnIds("score", CANDIDATES, candidates, row).getValue("scores")

    /**
     * Predicts the outputs of a head for each candidate after a history.
     *
     * @return outputs by name, each concatenated in the order of the candidates.
     * @throws RecommenderException if the model has no such head.
     */
    fun predict(head: String, row: Row, candidates: IntArray): Map<String, FloatArray> {
        if (signatures[head]?.inputs?.containsKey(CANDIDATES) != true) {
            throw RecommenderException("the model has no head '$head'; train a run that has it")
        }
        return runOnIds(head, CANDIDATES, candidates, row)
    }

    /**
     * Returns the embeddings and biases of items.
     *
     * @throws RecommenderException if the file is older than the signature `vectors`.
     */
    fun vectors(ids: IntArray): ItemEmbeddings {
        if (!has("vectors")) {
            throw RecommenderException("the file has no signature `vectors`; export its run again")
        }
        val outputs = runOnIds("vectors", ITEMS, ids, emptyMap())
        return ItemEmbeddings(outputs.getValue("vectors"), outputs.getValue("biases"))
    }

    /** Learns the adapter of one user; the outputs are named as in the file. */
    fun adapt(row: Row): Map<String, FloatArray> {
        val outputs = runAll("adapt", listOf(row))[0]
        return outputs.keys.associateWith { outputs.floats(it) }
    }

    /** Frees the memory of the graph; its user makes no call afterwards. */
    override fun close() = engine.close()

    @Synchronized
    private fun run(signature: String, inputs: Row): Row = engine.run(signature, inputs)

    /** Runs a signature on any number of examples, in batches of B. */
    private fun runAll(signature: String, rows: List<Row>): List<Row> {
        val (inputs, outputs) = signatures.getValue(signature).let { it.inputs to it.outputs }
        return rows.chunked(batchSize).flatMap { batch ->
            val found = run(signature, inputs.mapValues { (name, port) -> join(name, port, batch) })
            batch.indices.map { index ->
                outputs.mapValues { (name, port) -> slice(found.getValue(name), index, port.width) }
            }
        }
    }

    /**
     * Runs a signature on any number of ids, M at a time.
     *
     * @param name the input for the ids.
     * @param row the other inputs, the same for all ids.
     * @return outputs by name, each concatenated in the order of the ids.
     */
    private fun runOnIds(
        signature: String,
        name: String,
        ids: IntArray,
        row: Row,
    ): Map<String, FloatArray> {
        val (inputs, outputs) = signatures.getValue(signature).let { it.inputs to it.outputs }
        val count = inputs.getValue(name).width
        val parts = ids.asList().chunked(count) { part ->
            row + (name to IntTensor(part.toIntArray().copyOf(count)))
        }
        val found = runAll(signature, parts)
        return outputs.mapValues { (output, port) ->
            val joined = FloatArray(ids.size * (port.width / count))
            found.forEachIndexed { index, outputsOfPart ->
                val values = outputsOfPart.floats(output)
                val start = index * port.width
                values.copyInto(joined, start, 0, minOf(port.width, joined.size - start))
            }
            joined
        }
    }
}

private fun Row.floats(name: String): FloatArray = (getValue(name) as FloatTensor).values

/** Joins an input of some examples; the rest of the batch is zeros. */
private fun join(name: String, port: Port, rows: List<Row>): Tensor {
    val joinedFloats = FloatArray(if (port.isFloat) port.size else 0)
    val joinedInts = IntArray(if (port.isFloat) 0 else port.size)
    rows.forEachIndexed { index, row ->
        // An adapter of zeros leaves the model as it was shipped.
        val given = if (name == ADAPTER) row[name] ?: return@forEachIndexed else row.getValue(name)
        when (given) {
            is FloatTensor -> given.values.copyInto(joinedFloats, index * port.width)
            is IntTensor -> given.values.copyInto(joinedInts, index * port.width)
        }
    }
    return if (port.isFloat) FloatTensor(joinedFloats) else IntTensor(joinedInts)
}

/** Returns the values of one example of an output. */
private fun slice(tensor: Tensor, index: Int, width: Int): Tensor {
    if (tensor.size == width) return tensor
    val (start, end) = index * width to (index + 1) * width
    return when (tensor) {
        is FloatTensor -> FloatTensor(tensor.values.copyOfRange(start, end))
        is IntTensor -> IntTensor(tensor.values.copyOfRange(start, end))
    }
}
