package org.aldis

import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.DelicateCoroutinesApi
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.GlobalScope
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.launch
import org.aldis.ffi.ClientKey
import org.aldis.ffi.Conversation
import org.aldis.ffi.Event
import org.aldis.ffi.EventPackage
import org.aldis.ffi.HistoryEntry
import org.aldis.ffi.IncomingMessage
import org.aldis.ffi.OutgoingState
import org.aldis.ffi.PhoneConfig
import org.aldis.ffi.Piece
import org.aldis.ffi.ReachException
import org.aldis.ffi.RegisterException
import org.aldis.ffi.Registered
import org.aldis.ffi.SecretProvider
import org.aldis.ffi.SendException
import org.aldis.ffi.StartException
import org.aldis.ffi.StorageException
import org.aldis.ffi.readContent
import java.net.InetAddress
import java.util.concurrent.atomic.AtomicBoolean
import org.aldis.ffi.Phone as NativePhone

/**
 * The user agent of one account.
 *
 * ```
 * Phone(PhoneConfig("sip:alice@example.test"), secrets = { "wonderland" }).use { phone ->
 *     phone.register()
 *     phone.send("sip:bob@example.test", "Hello, Bob")
 *     phone.messages.collect { println("${it.from}: ${it.text}") }
 * }
 * ```
 *
 * It may be used from any thread. It connects when there is something to do; losing and regaining the connection,
 * refreshing and backing off are its own business, and [events] tell of them. Every suspending function can be cancelled.
 *
 * @param config who the user is and how the server is reached; it holds no secret
 * @param secrets gives the password, once, on this thread; null if [setCredentials] will
 * @param key signs for the client certificate in [config], for servers that ask for one
 * @throws StartException if something in [config] cannot be used
 */
class Phone
@JvmOverloads
@Throws(StartException::class)
constructor(config: PhoneConfig, secrets: Secrets? = null, key: ClientKey? = null) : AutoCloseable {
    private val native = NativePhone(config, secrets?.let(::Provider), key)
    private val isClosed = AtomicBoolean()

    /**
     * What happens, beside messages. Each event goes to one collector, in order; one that is cancelled before it has an
     * event leaves it to the next. A new collector takes over from the one before, which then completes. Completes after
     * [shutDown], when all were collected, and after [close].
     */
    val events: Flow<Event> =
        Feed { after, until -> unlessClosed { native.nextEvent(after, until) }?.let { Numbered(it.sequence, it.event) } }

    /**
     * Messages that come; each was stored and answered. For collectors it is as with [events], and independent of them. With
     * `PhoneConfig.storeFile` a message is acknowledged when the collector asks for the next: one that an app was killed over
     * comes again.
     */
    val messages: Flow<IncomingMessage> =
        Feed { after, until -> unlessClosed { native.nextMessage(after, until) }?.let { Numbered(it.sequence, it.incoming) } }

    /**
     * Registers, and returns once the registrar holds this device, which from then on is reachable.
     *
     * @throws RegisterException if the first attempt fails; it says why ([RegisterException.needsCredentials],
     *   [RegisterException.verdict]) and whether it is tried again by itself ([RegisterException.willRetry])
     */
    @Throws(RegisterException::class, CancellationException::class)
    suspend fun register(): Registered = native.registerAndWait()

    /** States the intent to be registered and returns at once; [events] tell the rest. */
    fun startRegistering() = native.register()

    /** Removes this device from the registrar. */
    fun unregister() = native.unregister()

    /** Gives other credentials and tries again what was refused for the old ones. */
    fun setCredentials(user: String, password: String) = native.setCredentials(user, password)

    /**
     * The system says that the network changed: the connection is replaced at once, and DNS is asked anew. The old one
     * serves until the new one is registered, if it answers within 4 s. [dnsServers] are the network's
     * (`LinkProperties.dnsServers`): Android resolves addresses for an app and nothing else, so that
     * a domain's SRV records are looked up only with these. Call it before the first registration too.
     */
    @JvmOverloads
    fun networkChanged(dnsServers: List<InetAddress> = emptyList()) = native.networkChanged(dnsServers.mapNotNull { it.hostAddress })

    /**
     * The app goes to the background: keep-alives come every 11 to 14 minutes, unless the server asks for more, so that the radio
     * sleeps. Messages still come while the system lets the process run; the store's locks and files are held only for as long as
     * they are stored.
     */
    fun enterBackground() = native.enterBackground()

    /** The app comes to the front: connections that have been quiet are probed, and replaced if no answer comes within 4 s. */
    fun enterForeground() = native.enterForeground()

    /**
     * A push woke the app, or it was given time to run: connections are probed, registrations refreshed, and nothing waits for
     * its next attempt. What it leads to is known within 4 s, and told by [events] and [messages].
     */
    fun wake() = native.wake()

    /**
     * Has the network wake this device by push from now on (RFC 8599); call it again for each new token of the service.
     * [Event.Push] tells whether a proxy takes part. Call [wake] for each push that comes.
     *
     * @param provider the service: `fcm`, `apns`, `webpush` or another
     * @param token what the service gave this app on this device
     * @param parameter by what the service knows the app: the project id for fcm
     * @param wakesItself the system reliably wakes the app for a refresh, so that no push is needed before the registration expires
     * @throws ReachException if these make no registration; nothing has changed
     */
    @JvmOverloads
    @Throws(ReachException::class)
    fun setPush(provider: String, token: String, parameter: String? = null, wakesItself: Boolean = false) =
        native.setPush(provider, token, parameter, wakesItself)

    /** Has the network wake this device no more. */
    fun clearPush() = native.clearPush()

    /** Asks which push services the network supports, or whether it supports this one; [Event.Push] answers. */
    @JvmOverloads
    fun queryPush(provider: String? = null) = native.queryPush(provider)

    /**
     * Gives an access token for a realm, as [Event.TokenNeeded] asks for it; what waited for it is tried again.
     *
     * @throws ReachException if it is none; nothing has changed
     */
    @Throws(ReachException::class)
    fun setToken(realm: String, token: String) = native.setToken(realm, token)

    /** Subscribes, while the account is registered; [Event.Subscription] and [Event.MessagesWaiting] tell. */
    fun subscribe(to: EventPackage) = native.subscribe(to)

    /** Ends a subscription. */
    fun unsubscribe(from: EventPackage) = native.unsubscribe(from)

    /**
     * The user types a message to [to]: call it at every keystroke. The recipient is told that somebody is writing, and 15 s
     * after the last call that nobody is. What others type comes as [Event.Composing].
     *
     * @throws SendException.Recipient if [to] is no address
     */
    @Throws(SendException::class)
    fun composing(to: String) = native.composing(to)

    /**
     * Sends a text and returns its final state: accepted, failed, or unknown, each with its reason. Cancelling ends the
     * wait and does not take the message back.
     *
     * @param to the recipient, `sip:bob@example.test`
     * @param receipts asks the recipient's device to tell that it has the message and that it was shown; that comes later, as
     *   [Event.Outgoing]
     * @throws SendException if the message was not taken; nothing of it was sent
     */
    @Throws(SendException::class, CancellationException::class)
    suspend fun send(to: String, text: String, receipts: Boolean = false): OutgoingState =
        native.deliverText(to, text, receipts) ?: error("a wait that nobody stopped")

    /** Sends any content, as [send] does. */
    @Throws(SendException::class, CancellationException::class)
    suspend fun send(to: String, contentType: String, body: ByteArray, receipts: Boolean = false): OutgoingState =
        native.deliverContent(to, contentType, body, receipts) ?: error("a wait that nobody stopped")

    /** Hands a text over and returns its identifier at once; its states come as [Event.Outgoing]. */
    @Throws(SendException::class, CancellationException::class)
    suspend fun enqueue(to: String, text: String, receipts: Boolean = false): String = native.sendText(to, text, receipts)

    /** Hands any content over, as [enqueue] does. */
    @Throws(SendException::class, CancellationException::class)
    suspend fun enqueue(to: String, contentType: String, body: ByteArray, receipts: Boolean = false): String =
        native.sendContent(to, contentType, body, receipts)

    /**
     * Takes a message back: it fails if nothing of it was sent, else its fate is unknown.
     *
     * @throws SendException.Identifier if [id] is no identifier
     */
    @Throws(SendException::class)
    fun withdraw(id: String) = native.withdraw(id)

    /**
     * Conversations whose newest message stands before [before], newest first.
     *
     * @throws StorageException if the store cannot be read; so in all that follow
     */
    @Throws(StorageException::class, CancellationException::class)
    suspend fun conversations(before: ULong? = null, limit: Int = 50): List<Conversation> =
        native.conversations(before, limit.toUInt())

    /** Messages with [peer] that stand before [before], newest first. */
    @Throws(StorageException::class, CancellationException::class)
    suspend fun history(peer: String, before: ULong? = null, limit: Int = 50): List<HistoryEntry> =
        native.history(peer, before, limit.toUInt())

    /** Messages before [before] that have every one of these words, newest first; [peer] narrows it to one conversation. */
    @Throws(StorageException::class, CancellationException::class)
    suspend fun search(words: String, peer: String? = null, before: ULong? = null, limit: Int = 50): List<HistoryEntry> =
        native.search(words, peer, before, limit.toUInt())

    /** The user has seen the conversation up to that place: it counts as read. */
    @Throws(StorageException::class, CancellationException::class)
    suspend fun markRead(peer: String, upTo: ULong) = native.markRead(peer, upTo)

    /** The user has seen this message: its sender is told, if he asked to be, once. */
    @Throws(StorageException::class, CancellationException::class)
    suspend fun displayed(message: IncomingMessage) = native.displayed(message)

    /** Deletes a message here; whether there was one. */
    @Throws(StorageException::class, CancellationException::class)
    suspend fun deleteMessage(sequence: ULong): Boolean = native.deleteMessage(sequence)

    /** Deletes a conversation here; how many messages it had. */
    @Throws(StorageException::class, CancellationException::class)
    suspend fun deleteConversation(peer: String): ULong = native.deleteConversation(peer)

    /** Sends a message once more that failed or whose fate is unknown, as the same message; false if it need not be. */
    @Throws(StorageException::class, CancellationException::class)
    suspend fun sendAgain(id: String): Boolean = native.sendAgain(id)

    /** Lets go of the store's locks and files, and takes nothing until [resumeStore]: messages stay with their senders. */
    @Throws(StorageException::class, CancellationException::class)
    suspend fun suspendStore() = native.suspendStore()

    /** The app runs again: the store is opened again. */
    @Throws(StorageException::class, CancellationException::class)
    suspend fun resumeStore() = native.resumeStore()

    /** Unregisters, ends what is under way within a few seconds, and returns when all has ended. May be called again. */
    suspend fun shutDown() = native.shutDown()

    /**
     * Does as [shutDown] in the background and returns at once. Calls that wait end, collectors complete; later calls
     * throw [IllegalStateException].
     */
    @OptIn(DelicateCoroutinesApi::class)
    override fun close() {
        if (!isClosed.compareAndSet(false, true)) return
        // The command is given before this returns. The call holds the native phone until all has ended.
        GlobalScope.launch(Dispatchers.Default, CoroutineStart.UNDISPATCHED) { native.shutDown() }
        native.destroy()
    }

    /** What the call gives; null if the phone was closed. */
    private suspend fun <T> unlessClosed(call: suspend () -> T?): T? = try {
        call()
    } catch (e: IllegalStateException) {
        // A cancellation is an IllegalStateException too.
        if (e is CancellationException || !isClosed.get()) throw e
        null
    }

    /** Where passwords are kept; a lambda will do. Not asked to print itself. */
    fun interface Secrets {
        /** The password for this address of record; null if there is none. */
        fun password(addressOfRecord: String): String?
    }

    private class Provider(private val secrets: Secrets) : SecretProvider {
        override fun password(addressOfRecord: String): String? = secrets.password(addressOfRecord)
    }
}

/** What the message says, in its order: text, files, content that lies elsewhere. Of alternatives it is the best that is understood. */
val IncomingMessage.pieces: List<Piece> get() = readContent(contentType, body)
