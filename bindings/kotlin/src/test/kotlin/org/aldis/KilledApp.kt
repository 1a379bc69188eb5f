package org.aldis

import kotlinx.coroutines.runBlocking
import org.aldis.ffi.PhoneConfig
import org.aldis.ffi.TrustConfig

/** An app that is killed while it handles its second message: ADDRESS STORE. */
fun main(args: Array<String>) = runBlocking {
    val trust = TrustConfig(onlyRoots = System.getenv("ALDIS_ROOT"))
    val config = PhoneConfig("sip:alice@example.test", addresses = listOf(args[0]), trust = trust, storeFile = args[1])
    val phone = Phone(config, secrets = { "wonderland" })
    phone.register()
    println("ready")
    phone.messages.collect {
        println(it.text)
        if (it.text == "two") Runtime.getRuntime().halt(137)
    }
}
