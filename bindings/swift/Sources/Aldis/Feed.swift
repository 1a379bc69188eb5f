import Foundation

/// What comes in order, to one reader at a time, and waits for one while there is none.
///
/// An element is claimed when nothing stands between it and the reader any more: whoever is cancelled before leaves it in
/// the queue, and whoever has it will not see it again.
public struct Feed<Element: Sendable>: AsyncSequence, Sendable {
    typealias Next = @Sendable (_ after: UInt64, _ stop: StopSignal) async -> (UInt64, Element)?

    private let queue: Queue

    init(next: @escaping Next) { queue = Queue(next: next) }

    /// A reader, which takes over from the one before.
    public func makeAsyncIterator() -> Iterator { Iterator(queue: queue, turn: queue.takeOver()) }

    /// A reader.
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let queue: Queue
        fileprivate let turn: StopSignal

        /// The next element; nil when there will be none, another reader has taken over, or the task was cancelled.
        public mutating func next() async -> Element? { await queue.next(turn) }
    }

    /// What the readers share: the number of the last element that one of them has, and whose turn it is.
    fileprivate final class Queue: @unchecked Sendable {
        private let wait: Next
        // Guards what follows.
        private let lock = NSLock()
        private var claimed: UInt64 = 0
        private var current: StopSignal?

        init(next: @escaping Next) { wait = next }

        func takeOver() -> StopSignal {
            let turn = StopSignal()
            lock.withLock {
                current?.stop()
                current = turn
            }
            return turn
        }

        func next(_ turn: StopSignal) async -> Element? {
            let after = lock.withLock { claimed }
            let found = await withTaskCancellationHandler {
                await wait(after, turn)
            } onCancel: {
                turn.stop()
            }
            guard let (sequence, element) = found, !Task.isCancelled else { return nil }
            return lock.withLock {
                guard current === turn else { return nil }
                claimed = sequence
                return element
            }
        }
    }
}
