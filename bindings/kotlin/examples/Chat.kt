// A chat in the terminal: kotlin -cp … ChatKt sip:alice@example.test sip:bob@example.test
// The password comes from ALDIS_PASSWORD; ALDIS_ADDRESS and ALDIS_ROOTS (a PEM file) serve a server of your own.

import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext
import org.aldis.Phone
import org.aldis.ffi.Event
import org.aldis.ffi.OutgoingState
import org.aldis.ffi.PhoneConfig
import org.aldis.ffi.RegisterException
import org.aldis.ffi.SendException
import org.aldis.ffi.TrustConfig
import java.io.File
import kotlin.system.exitProcess

fun main(args: Array<String>) = runBlocking {
    if (args.size != 2) {
        System.err.println("usage: chat MY-ADDRESS THEIR-ADDRESS")
        exitProcess(2)
    }
    val (own, other) = args
    val config = PhoneConfig(
        addressOfRecord = own,
        addresses = listOfNotNull(System.getenv("ALDIS_ADDRESS")),
        trust = TrustConfig(additionalRoots = System.getenv("ALDIS_ROOTS")?.let { File(it).readText() }),
    )
    Phone(config, secrets = { System.getenv("ALDIS_PASSWORD") }).use { phone ->
        try {
            phone.register()
        } catch (e: RegisterException) {
            println("Not registered: $e. ${e.advice()}")
            e.verdict()?.findings?.forEach { println("  ${it.field}: expected ${it.expected}, found ${it.found}") }
            if (!e.willRetry()) exitProcess(1)
        }
        println("You are $own. Type to write to $other; end with an empty line.")
        val messages = launch { phone.messages.collect { println("${it.from}: ${it.text ?: it.contentType}") } }
        val events = launch {
            phone.events.collect { if (it is Event.Untrusted) println("! untrusted: ${it.verdict.findings.first().meaning}") }
        }
        while (true) {
            val line = withContext(Dispatchers.IO) { readlnOrNull() }
            if (line.isNullOrEmpty()) break
            try {
                when (val state = phone.send(other, line)) {
                    is OutgoingState.Accepted -> println("(delivered)")
                    is OutgoingState.Failed -> println("(not delivered: ${state.explanation})")
                    is OutgoingState.Unknown -> println("(${state.explanation})")
                    else -> {}
                }
            } catch (e: SendException) {
                println("(not sent: $e)")
            }
        }
        phone.shutDown()
        messages.join()
        events.join()
    }
}
