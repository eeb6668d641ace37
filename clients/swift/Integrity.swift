/**
 Checks of a file before it is used: it is complete, and signed where a public key is given.
 */

import CryptoKit
import Foundation

/// What precedes the 32 bytes of the raw key in a SubjectPublicKeyInfo of Ed25519.
private let keyPrefix = Data([0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0])
private let keyBytes = 32
private let signatureName = "model.json.sig"

extension Recommender {
    /// Returns the hash of a file or a part of one, in hexadecimal.
    static func sha256(_ data: Data) -> String {
        SHA256.hash(data: data).map { String(format: "%02x", $0) }.joined()
    }

    /// Throws unless the members are those of model.json; older files have no hashes of members.
    static func requireMembers(_ archive: Archive, _ release: Release, start: Int) throws {
        guard let hashes = release.members else { return }
        guard archive.start == start else {
            throw Damage(cause: "it has bytes between its graph and its archive")
        }
        for (name, hash) in hashes {
            guard try sha256(archive.content(name)) == hash else {
                throw Damage(cause: "the hash of its \(name) differs")
            }
        }
        let listed = Set(hashes.keys).union(["model.json", signatureName])
        if let other = archive.members.keys.first(where: { !listed.contains($0) }) {
            throw Damage(cause: "\(other) was added to it")
        }
    }

    /// Throws unless the owner of a key signed model.json, which has the hashes of all other parts.
    static func requireSignature(
        _ archive: Archive,
        _ release: Release,
        _ key: Curve25519.Signing.PublicKey,
        name: String
    ) throws {
        guard release.members != nil else {
            throw Failure(
                message: "\(name) is of an older version, whose files cannot be signed; export "
                    + "its run again")
        }
        guard let signature = archive.members[signatureName] else {
            throw Failure(message: "\(name) is not signed; sign it with `jaxrec sign`")
        }
        guard key.isValidSignature(signature, for: try archive.content("model.json")) else {
            throw Failure(
                message: "\(name) is not signed with this key: its signature is of another key, "
                    + "or of other content; sign it again, or give the key of its publisher")
        }
    }

    /// Parses the PEM text of a SubjectPublicKeyInfo, as `openssl pkey -pubout` writes it.
    static func parsePublicKey(_ pem: String) throws -> Curve25519.Signing.PublicKey {
        let (begin, end) = ("-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----")
        let text = pem.trimmingCharacters(in: .whitespacesAndNewlines)
        guard text.hasPrefix(begin), text.hasSuffix(end) else {
            throw Failure(
                message: "the public key is \"\(text.prefix(30))\", not the text of a PEM file; "
                    + "give the content of the file that `jaxrec sign --new-key` wrote, "
                    + begin)
        }
        let base64 = String(text.dropFirst(begin.count).dropLast(end.count))
        let encoded = Data(base64Encoded: base64, options: .ignoreUnknownCharacters) ?? Data()
        guard encoded.starts(with: keyPrefix), encoded.count == keyPrefix.count + keyBytes else {
            throw Failure(
                message: "the public key is of another kind; give one of Ed25519, as "
                    + "`jaxrec sign --new-key` writes it")
        }
        return try Curve25519.Signing.PublicKey(rawRepresentation: encoded.suffix(keyBytes))
    }
}
