package keeper

import "golang.org/x/mod/sumdb/tlog"

// MarshalCover is a cover (PROTOCOL.md#ledger-cover) as it travels: 32 bytes a
// hash. Nil for none.
func MarshalCover(hashes []tlog.Hash) (b []byte) {
	for i := range hashes {
		b = append(b, hashes[i][:]...)
	}
	return b
}

// ParseCover reads it; false for what is not whole hashes. Whether they prove
// anything is for ledger.Found.Verify.
func ParseCover(b []byte) ([]tlog.Hash, bool) {
	if len(b)%tlog.HashSize != 0 {
		return nil, false
	}
	hashes := make([]tlog.Hash, 0, len(b)/tlog.HashSize)
	for ; len(b) > 0; b = b[tlog.HashSize:] {
		hashes = append(hashes, tlog.Hash(b))
	}
	return hashes, true
}
