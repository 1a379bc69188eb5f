// What an app on Android keeps for as long as its process runs: ANDROID.md explains it. Nothing in it needs Android's SDK.
package example

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.update
import kotlinx.coroutines.launch
import kotlinx.coroutines.withTimeoutOrNull
import org.aldis.Phone
import org.aldis.ffi.Event
import org.aldis.ffi.IncomingMessage
import org.aldis.ffi.PhoneConfig
import org.aldis.ffi.RegistrationState
import java.net.InetAddress

class AppPhone(config: PhoneConfig, scope: CoroutineScope, secrets: Phone.Secrets) : AutoCloseable {
    val phone = Phone(config, secrets)
    private val received = MutableStateFlow(emptyList<IncomingMessage>())
    private val trouble = MutableStateFlow<String?>(null)
    val messages: StateFlow<List<IncomingMessage>> get() = received
    val problem: StateFlow<String?> get() = trouble

    init {
        scope.launch { phone.messages.collect { message -> received.update { it + message } } }
        scope.launch { phone.events.collect(::tell) }
        phone.startRegistering()
    }

    private fun tell(event: Event) {
        if (event is Event.Untrusted) trouble.value = event.verdict.findings.firstOrNull()?.advice
        val state = (event as? Event.Registration)?.state ?: return
        if (state is RegistrationState.Failed) trouble.value = state.explanation
        if (state is RegistrationState.Registered) trouble.value = null
    }

    /** For `ConnectivityManager.NetworkCallback.onLinkPropertiesChanged`. */
    fun network(dnsServers: List<InetAddress>) = phone.networkChanged(dnsServers)

    /** For `FirebaseMessagingService.onNewToken`. */
    fun pushToken(token: String, project: String) = phone.setPush("fcm", token, project)

    /** For `onMessageReceived`, which has some seconds: whether something came. */
    suspend fun woken(milliseconds: Long = 15_000): Boolean {
        val before = received.value.size
        phone.wake()
        return withTimeoutOrNull(milliseconds) { received.first { it.size > before } } != null
    }

    override fun close() = phone.close()
}
