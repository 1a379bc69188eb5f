package org.aldis

import org.aldis.ffi.ClientKey
import org.aldis.ffi.KeyException
import org.aldis.ffi.SignatureMethod
import java.security.GeneralSecurityException
import java.security.PrivateKey
import java.security.Signature
import java.security.interfaces.ECKey
import java.security.spec.MGF1ParameterSpec
import java.security.spec.PSSParameterSpec

/**
 * A private key of a Java keystore (on Android `AndroidKeyStore`, where the key never leaves its hardware) that signs for
 * a client certificate.
 */
class KeystoreKey(private val key: PrivateKey) : ClientKey {
    override fun supports(method: SignatureMethod): Boolean = when (key.algorithm) {
        "EC" -> method == curveMethod()
        "RSA" -> method in RSA
        "Ed25519", "EdDSA" -> method == SignatureMethod.ED25519
        else -> false
    }

    override fun sign(bytes: ByteArray, method: SignatureMethod): ByteArray = try {
        signature(method).run {
            initSign(key)
            update(bytes)
            sign()
        }
    } catch (e: GeneralSecurityException) {
        throw KeyException.Unavailable(e.toString())
    }

    private fun curveMethod() = when ((key as? ECKey)?.params?.order?.bitLength()) {
        256 -> SignatureMethod.ECDSA_P256_SHA256
        384 -> SignatureMethod.ECDSA_P384_SHA384
        521 -> SignatureMethod.ECDSA_P521_SHA512
        else -> null
    }

    private fun signature(method: SignatureMethod): Signature = when (method) {
        SignatureMethod.ECDSA_P256_SHA256 -> Signature.getInstance("SHA256withECDSA")
        SignatureMethod.ECDSA_P384_SHA384 -> Signature.getInstance("SHA384withECDSA")
        SignatureMethod.ECDSA_P521_SHA512 -> Signature.getInstance("SHA512withECDSA")
        SignatureMethod.ED25519 -> Signature.getInstance("Ed25519")
        SignatureMethod.RSA_PSS_SHA256 -> pss("SHA-256", MGF1ParameterSpec.SHA256, 32)
        SignatureMethod.RSA_PSS_SHA384 -> pss("SHA-384", MGF1ParameterSpec.SHA384, 48)
        SignatureMethod.RSA_PSS_SHA512 -> pss("SHA-512", MGF1ParameterSpec.SHA512, 64)
        SignatureMethod.RSA_PKCS1_SHA256 -> Signature.getInstance("SHA256withRSA")
        SignatureMethod.OTHER -> throw KeyException.Unavailable("a method without a name")
    }

    private fun pss(digest: String, mask: MGF1ParameterSpec, salt: Int): Signature =
        Signature.getInstance("RSASSA-PSS").apply { setParameter(PSSParameterSpec(digest, "MGF1", mask, salt, 1)) }

    /** Without the key. */
    override fun toString() = "KeystoreKey(${key.algorithm})"

    private companion object {
        val RSA = setOf(
            SignatureMethod.RSA_PSS_SHA256,
            SignatureMethod.RSA_PSS_SHA384,
            SignatureMethod.RSA_PSS_SHA512,
            SignatureMethod.RSA_PKCS1_SHA256,
        )
    }
}
