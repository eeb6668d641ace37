/** Ed25519 public keys as PEM text, and the signatures that they verify. */
package jaxrec

import java.security.GeneralSecurityException
import java.security.KeyFactory
import java.security.PublicKey
import java.security.SignatureException
import java.security.spec.X509EncodedKeySpec
import kotlin.io.encoding.Base64

private const val ALGORITHM = "Ed25519"
private val PEM = Regex("\\s*-----BEGIN PUBLIC KEY-----([^-]*)-----END PUBLIC KEY-----\\s*")

// What precedes the 32 bytes of the raw key in a SubjectPublicKeyInfo of Ed25519.
private val PREFIX = byteArrayOf(0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0)
private const val KEY_BYTES = 32

/**
 * Parses a public key.
 *
 * @param pem the text of a SubjectPublicKeyInfo, as `openssl pkey -pubout` writes it.
 * @throws RecommenderException if it is something else or a key of another kind, or if this device
 *     has no Ed25519.
 */
internal fun parsePublicKey(pem: String): PublicKey {
    val match = PEM.matchEntire(pem) ?: throw RecommenderException(
        "the public key is ${quote(pem.trim().take(30))}, not the text of a PEM file; give the " +
            "content of the file that `jaxrec sign --new-key` wrote, -----BEGIN PUBLIC KEY-----",
    )
    val encoded = try {
        Base64.Mime.decode(match.groupValues[1])
    } catch (_: IllegalArgumentException) {
        byteArrayOf() // not base64: a key of no kind
    }
    val hasPrefix = encoded.take(PREFIX.size) == PREFIX.asList()
    if (!hasPrefix || encoded.size != PREFIX.size + KEY_BYTES) {
        throw RecommenderException(
            "the public key is of another kind; give one of Ed25519, as `jaxrec sign --new-key` " +
                "writes it",
        )
    }
    return withEd25519 {
        KeyFactory.getInstance(ALGORITHM).generatePublic(X509EncodedKeySpec(encoded))
    }
}

/** Returns whether a signature is that of the key's owner over a message. */
internal fun isSignedBy(key: PublicKey, signature: ByteArray, message: ByteArray): Boolean =
    withEd25519 {
        val verifier = java.security.Signature.getInstance(ALGORITHM)
        verifier.initVerify(key)
        verifier.update(message)
        try {
            verifier.verify(signature)
        } catch (_: SignatureException) {
            false // not 64 bytes
        }
    }

private fun <T> withEd25519(call: () -> T): T = try {
    call()
} catch (_: GeneralSecurityException) {
    throw RecommenderException(
        "this device has no Ed25519, which verifies signed models and which Java has from 15; " +
            "add a security provider that has it, such as Bouncy Castle",
    )
}
