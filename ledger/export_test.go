package ledger

// SignatureLine is open to tests that play a witness by hand.
func SignatureLine(name string, hash uint32, sig []byte) []byte {
	return signatureLine(name, hash, sig)
}

// KnownReason is open to the test that compares it with the registry.
var KnownReason = knownReason
