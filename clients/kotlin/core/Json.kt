/**
 * A reader of JSON, and the quoting of strings.
 *
 * It needs no library, and parses alike on a server and on Android, where unit tests on the JVM
 * cannot call org.json.
 */
package jaxrec

// Deeper than any file of jaxrec; a limit against an overflow of the stack.
private const val MAX_DEPTH = 64

/**
 * Parses JSON to maps, lists, strings, booleans and null. A whole number is a Long, any other
 * number a Double.
 *
 * @throws IllegalArgumentException if the text is not JSON.
 */
internal fun parseJson(text: String): Any? = JsonReader(text).readDocument()

/** Returns a string as a JSON literal. */
internal fun quote(text: String): String = buildString(text.length + 2) {
    append('"')
    for (char in text) {
        when {
            char == '"' || char == '\\' -> append('\\').append(char)
            char == '\n' -> append("\\n")
            char < ' ' -> append("\\u%04x".format(char.code))
            else -> append(char)
        }
    }
    append('"')
}

private class JsonReader(private val text: String) {
    private var position = 0
    private var depth = 0

    fun readDocument(): Any? {
        val value = readValue()
        if (peek() != null) fail("the end")
        return value
    }

    private fun readValue(): Any? = when (peek()) {
        '{' -> nested { readObject() }
        '[' -> nested { readArray() }
        '"' -> readString()
        't' -> readWord("true", true)
        'f' -> readWord("false", false)
        'n' -> readWord("null", null)
        else -> readNumber()
    }

    private fun <T> nested(read: () -> T): T {
        depth += 1
        require(depth <= MAX_DEPTH) { "the JSON is nested more than $MAX_DEPTH levels deep" }
        position += 1
        return read().also { depth -= 1 }
    }

    private fun readObject(): Map<String, Any?> {
        val members = LinkedHashMap<String, Any?>()
        if (skip('}')) return members
        do {
            if (peek() != '"') fail("a name")
            val name = readString()
            if (!skip(':')) fail("':'")
            members[name] = readValue()
        } while (skip(','))
        if (!skip('}')) fail("'}'")
        return members
    }

    private fun readArray(): List<Any?> {
        val values = ArrayList<Any?>()
        if (skip(']')) return values
        do values.add(readValue()) while (skip(','))
        if (!skip(']')) fail("']'")
        return values
    }

    private fun readString(): String {
        position += 1
        var start = position
        var escaped: StringBuilder? = null // of a string with escapes, which few strings have
        while (position < text.length) {
            when (text[position]) {
                '"' -> {
                    val rest = text.substring(start, position)
                    position += 1
                    return escaped?.append(rest)?.toString() ?: rest
                }
                '\\' -> {
                    escaped = (escaped ?: StringBuilder()).append(text, start, position)
                    escaped.append(readEscape())
                    start = position
                }
                else -> position += 1
            }
        }
        fail("'\"'")
    }

    private fun readEscape(): Char {
        val kind = text.getOrNull(position + 1) ?: fail("an escaped character")
        position += 2
        if (kind != 'u') {
            val index = "\"\\/bfnrt".indexOf(kind)
            return if (index < 0) fail("an escaped character") else "\"\\/\b\u000C\n\r\t"[index]
        }
        val digits = text.substring(position, minOf(position + 4, text.length))
        if (digits.length < 4 || digits.any { Character.digit(it, 16) < 0 }) fail("four digits")
        position += 4
        return digits.toInt(16).toChar()
    }

    private fun readNumber(): Number {
        val start = position
        while (position < text.length && text[position] in "+-.0123456789eE") position += 1
        val digits = text.substring(start, position)
        return digits.toLongOrNull() ?: digits.toDoubleOrNull() ?: fail("a value")
    }

    private fun <T> readWord(word: String, value: T): T {
        if (!text.startsWith(word, position)) fail("a value")
        position += word.length
        return value
    }

    private fun skip(char: Char): Boolean {
        if (peek() != char) return false
        position += 1
        return true
    }

    /** Returns the next character that is not white space, null at the end. */
    private fun peek(): Char? {
        while (position < text.length && text[position] in " \n\r\t") position += 1
        return text.getOrNull(position)
    }

    private fun fail(expected: String): Nothing =
        throw IllegalArgumentException("expected $expected of the JSON at character $position")
}
