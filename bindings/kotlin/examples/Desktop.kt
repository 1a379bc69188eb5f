// A desktop program: conversations on the left, messages on the right, below them how things stand.
// java -cp … DesktopKt sip:alice@example.test [sip:bob@example.test …]
// The password comes from ALDIS_PASSWORD, else it is asked for; ALDIS_ADDRESS and ALDIS_ROOTS serve a server of your own.

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.swing.Swing
import org.aldis.Phone
import org.aldis.ffi.ConnectionState
import org.aldis.ffi.Event
import org.aldis.ffi.OutgoingState
import org.aldis.ffi.PhoneConfig
import org.aldis.ffi.RegistrationState
import org.aldis.ffi.SendException
import org.aldis.ffi.StartException
import org.aldis.ffi.TrustConfig
import java.awt.BorderLayout
import java.awt.Color
import java.awt.Dimension
import java.awt.event.WindowAdapter
import java.awt.event.WindowEvent
import java.io.File
import java.time.LocalTime
import java.time.format.DateTimeFormatter
import javax.swing.BorderFactory
import javax.swing.DefaultListModel
import javax.swing.JButton
import javax.swing.JFrame
import javax.swing.JLabel
import javax.swing.JList
import javax.swing.JOptionPane
import javax.swing.JPanel
import javax.swing.JPasswordField
import javax.swing.JScrollPane
import javax.swing.JSplitPane
import javax.swing.JTextField
import javax.swing.JTextPane
import javax.swing.text.SimpleAttributeSet
import javax.swing.text.StyleConstants
import kotlin.system.exitProcess

/** One line of a conversation. */
private class Line(val mine: Boolean, val text: String, var state: String = "") {
    val time: String = LocalTime.now().format(DateTimeFormatter.ofPattern("HH:mm"))
}

/** What was said with one address. */
private class Conversation(val with: String) {
    val lines = mutableListOf<Line>()
    var unread = 0

    override fun toString() = with.removePrefix("sip:") + if (unread > 0) "  ($unread)" else ""
}

/** The window. Everything here runs on Swing's thread. */
private class Desktop(private val phone: Phone, own: String, others: List<String>) {
    private val scope = CoroutineScope(SupervisorJob() + Dispatchers.Swing)
    private val conversations = DefaultListModel<Conversation>().apply { others.forEach { addElement(Conversation(it)) } }
    private val list = JList(conversations).apply { fixedCellHeight = 36; addListSelectionListener { show() } }
    private val messages = JTextPane().apply { isEditable = false; margin.set(12, 12, 12, 12) }
    private val input = JTextField()
    private val status = JLabel("Connecting…").apply { border = BorderFactory.createEmptyBorder(4, 8, 4, 8) }
    private val frame = JFrame("Aldis: ${own.removePrefix("sip:")}")

    init {
        val start = JButton("New conversation…").apply { addActionListener { begin() } }
        val left = JPanel(BorderLayout()).apply { add(JScrollPane(list)); add(start, BorderLayout.SOUTH) }
        val right = JPanel(BorderLayout()).apply { add(JScrollPane(messages)); add(input, BorderLayout.SOUTH) }
        input.addActionListener { send() }
        frame.contentPane.add(JSplitPane(JSplitPane.HORIZONTAL_SPLIT, left, right).apply { dividerLocation = 230 })
        frame.contentPane.add(status, BorderLayout.SOUTH)
        frame.size = Dimension(820, 520)
        frame.defaultCloseOperation = JFrame.DO_NOTHING_ON_CLOSE
        frame.addWindowListener(object : WindowAdapter() {
            override fun windowClosing(event: WindowEvent) {
                scope.launch { phone.shutDown(); exitProcess(0) }
            }
        })
        list.selectedIndex = 0
        frame.isVisible = true
        scope.launch { phone.messages.collect { add(it.from, Line(false, it.text ?: "(${it.contentType})")) } }
        scope.launch { phone.events.collect(::tell) }
        phone.startRegistering()
    }

    private fun conversation(address: String) = conversations.elements().asSequence().find { it.with == address }
        ?: Conversation(address).also(conversations::addElement)

    private fun add(address: String, line: Line) {
        val conversation = conversation(address)
        conversation.lines += line
        if (list.selectedValue !== conversation) conversation.unread++
        if (list.isSelectionEmpty) list.selectedIndex = 0
        show()
    }

    private fun begin() {
        val address = JOptionPane.showInputDialog(frame, "Whom do you want to write to?", "sip:") ?: return
        list.setSelectedValue(conversation(address), true)
        input.requestFocus()
    }

    private fun send() {
        val conversation = list.selectedValue ?: return begin()
        val line = Line(true, input.text.ifBlank { return }, "sending…")
        input.text = ""
        add(conversation.with, line)
        scope.launch {
            line.state = try {
                when (val state = phone.send(conversation.with, line.text)) {
                    is OutgoingState.Accepted -> if (state.status == 202.toUShort()) "kept for later" else "delivered"
                    is OutgoingState.Failed -> "not delivered: ${state.explanation}"
                    is OutgoingState.Unknown -> state.explanation
                    OutgoingState.Delivered -> "delivered"
                    OutgoingState.Displayed -> "read"
                    OutgoingState.Queued, OutgoingState.Sending -> ""
                }
            } catch (e: SendException) {
                "not sent: $e"
            }
            show()
        }
    }

    private fun tell(event: Event) {
        when (event) {
            is Event.Untrusted -> status.text = "Not trusted: " + event.verdict.findings.first().run { "$meaning $advice" }
            is Event.Connection -> (event.state as? ConnectionState.Connected)?.server?.let { server ->
                status.text = "Connected to ${server.reference}, proven by ${server.matched}, TLS ${server.tlsVersion}, ${server.keyExchange}"
            }
            is Event.Registration -> when (val state = event.state) {
                is RegistrationState.Registered -> status.text = status.text.removeSuffix(". Reachable") + ". Reachable"
                is RegistrationState.Failed -> status.text = "Not reachable: ${state.explanation}"
                else -> {}
            }
            else -> {}
        }
    }

    private fun show() {
        val conversation = list.selectedValue ?: return
        conversation.unread = 0
        list.repaint()
        messages.text = ""
        for (line in conversation.lines) {
            write(line.text, line.mine, 15, if (line.mine) Color(0x1b5e20) else Color(0x212121))
            write(listOf(line.time, line.state).filter(String::isNotEmpty).joinToString("  "), line.mine, 11, Color.GRAY)
        }
    }

    private fun write(text: String, mine: Boolean, size: Int, color: Color) {
        val style = SimpleAttributeSet()
        StyleConstants.setAlignment(style, if (mine) StyleConstants.ALIGN_RIGHT else StyleConstants.ALIGN_LEFT)
        StyleConstants.setFontSize(style, size)
        StyleConstants.setForeground(style, color)
        StyleConstants.setSpaceAbove(style, if (size > 12) 10f else 0f)
        val document = messages.styledDocument
        val start = document.length
        document.insertString(start, text + "\n", style)
        document.setParagraphAttributes(start, text.length, style, false)
    }
}

private fun askForPassword(address: String): String? {
    val field = JPasswordField()
    val answer = JOptionPane.showConfirmDialog(null, field, "Password of $address", JOptionPane.OK_CANCEL_OPTION)
    return if (answer == JOptionPane.OK_OPTION) String(field.password) else null
}

fun main(args: Array<String>) {
    val own = args.firstOrNull() ?: JOptionPane.showInputDialog("Your address", "sip:") ?: return
    val config = PhoneConfig(
        addressOfRecord = own,
        addresses = listOfNotNull(System.getenv("ALDIS_ADDRESS")),
        trust = TrustConfig(additionalRoots = System.getenv("ALDIS_ROOTS")?.let { File(it).readText() }),
    )
    try {
        val phone = Phone(config, secrets = { System.getenv("ALDIS_PASSWORD") ?: askForPassword(it) })
        runBlocking(Dispatchers.Swing) { Desktop(phone, own, args.drop(1)) }
    } catch (e: StartException) {
        JOptionPane.showMessageDialog(null, "$e")
    }
}
