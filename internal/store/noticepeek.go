package store

import (
	"encoding/binary"
	"errors"

	"github.com/abaton-health/abaton"
)

// NoticesOf is Notices for those whose signed HEAD is wanted; of the others
// nothing more is read or copied, for a line may hold thousands of parts of
// large objects. wanted must not keep what it is given.
func (s *Store) NoticesOf(patient abaton.ActorID, line abaton.Line, wanted func(head []byte) bool, yield func(abaton.BatchName, Notice) bool) error {
	prefix := patientKey(tableNotice, s.pseudonym(patient), line[:])
	var bad error
	err := s.records.Scan(prefix, after(prefix), func(key, value []byte) bool {
		head, err := headOf(value)
		if err == nil && !wanted(head) {
			return true
		}
		var n Notice
		if err == nil {
			n, err = parseNotice(value)
		}
		if err != nil {
			bad = err
			return false
		}
		return yield(last(key), n)
	})
	return errors.Join(err, bad)
}

// headOf is the Head of a stored notice, in place: its first field. ErrDamaged.
func headOf(b []byte) ([]byte, error) {
	fixed := 2 + len(abaton.Line{})
	if len(b) < fixed || b[0] != formatByte {
		return nil, ErrDamaged
	}
	at := fixed + 32*int(b[fixed-1])
	if len(b) < at+4 {
		return nil, ErrDamaged
	}
	size := binary.BigEndian.Uint32(b[at:])
	if size > NoticeBytesMax || int(size) > len(b)-at-4 {
		return nil, ErrDamaged
	}
	return b[at+4 : at+4+int(size)], nil
}
