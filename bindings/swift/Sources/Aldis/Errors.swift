import Foundation

/// What went wrong, in a sentence.
extension StartError: LocalizedError {
    public var errorDescription: String? { description }
}

/// What went wrong, in a sentence, and what to do about it.
extension RegisterError: LocalizedError {
    public var errorDescription: String? { description }
    public var recoverySuggestion: String? { advice() }
}

/// What went wrong, in a sentence.
extension SendError: LocalizedError {
    public var errorDescription: String? { description }
}

/// What went wrong, in a sentence.
extension ReachError: LocalizedError {
    public var errorDescription: String? { description }
}

/// What went wrong, in a sentence, and what to do about it.
extension StorageError: LocalizedError {
    public var errorDescription: String? { description }
    public var recoverySuggestion: String? {
        switch self {
        case .Failed(_, let advice): advice
        }
    }
}

/// What went wrong, in a sentence.
extension LinkError: LocalizedError {
    public var errorDescription: String? { description }
}
