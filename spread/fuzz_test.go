package spread

import (
	"bytes"
	"testing"

	"github.com/abaton-health/abaton/wire"
)

// Every decoder: what it accepts has one encoding, and nothing panics.

func FuzzHead(f *testing.F) {
	f.Add(deal(f, 1).uploads[0].Head.Body)
	f.Add(deal(f, 64).uploads[0].Head.Body)
	f.Fuzz(func(t *testing.T, data []byte) {
		if h, err := DecodeHead(data); err == nil && !bytes.Equal(h.Bytes(), data) {
			t.Error("accepted HEAD has two encodings")
		}
	})
}

func FuzzLock(f *testing.F) {
	f.Add(deal(f, 1).uploads[0].Lock.Body)
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := DecodeLock(data)
		if err != nil {
			return
		}
		if !bytes.Equal(l.Bytes(), data) {
			t.Error("accepted LOCK has two encodings")
		}
		Ctx([16]byte{}, l)
	})
}

func FuzzUpload(f *testing.F) {
	d := deal(f, 2)
	f.Add(d.uploads[0].Bytes())
	f.Add(deal(f, 1).uploads[0].Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		u, err := ParseUpload(data)
		if err != nil {
			return
		}
		if !bytes.Equal(u.Bytes(), data) {
			t.Error("accepted upload has two encodings")
		}
		// The signatures stop a fuzzer, so it also gets past them.
		head, lock := d.uploads[0].Head, d.uploads[0].Lock
		u.Head, u.Lock = head, lock
		if c, err := Check(u, d.shape, d.set, 1); err == nil && !bytes.Equal(u.Bytes(), d.uploads[0].Bytes()) {
			t.Errorf("a second upload of the batch is accepted: %d rows", len(c.Rows))
		}
	})
}

func FuzzPiece(f *testing.F) {
	d := deal(f, 5)
	f.Add(d.piece(f, 0, 0b11111).Bytes())
	f.Add(d.piece(f, 0, 0b00100).Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePiece(data)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Bytes(), data) {
			t.Error("accepted piece has two encodings")
		}
		p.Head, p.Lock = d.uploads[0].Head, d.uploads[0].Lock
		g, err := NewGather(d.name, 0b11111, d.shape, d.set, anybody)
		if err != nil {
			t.Fatal(err)
		}
		if g.Add(1, p.Bytes()) == nil {
			g.Result()
		}
		for _, fault := range g.Faults() {
			if fault.Verify() != nil {
				t.Error("a fault does not verify")
			}
		}
	})
}

func FuzzRekey(f *testing.F) {
	d := deal(f, 2)
	f.Add(d.rekey().Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseRekey(data)
		if err != nil {
			return
		}
		if !bytes.Equal(r.Bytes(), data) {
			t.Error("accepted rekey has two encodings")
		}
		if _, _, err := CheckRekey(r, d.uploads[0].Head, d.uploads[0].Lock, 0, d.shape, d.set, 1); err == nil {
			t.Error("a rekey nobody signed is accepted")
		}
	})
}

func FuzzFault(f *testing.F) {
	fault := deal(f, 1).fault(f)
	f.Add(fault.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := ParseFault(data)
		if err != nil {
			return
		}
		if !bytes.Equal(v.Bytes(), data) {
			t.Error("accepted fault has two encodings")
		}
		if v.Verify() == nil && v.Party != KeeperParty {
			t.Error("a proof against somebody who signed nothing")
		}
	})
}

// TestCanonicalOnly: each form refuses a field more, a byte more, and an
// integer longer than it need be.
func TestCanonicalOnly(t *testing.T) {
	d := deal(t, 2)
	fault := d.fault(t)
	for name, c := range map[string]struct {
		data  []byte
		parse func([]byte) error
	}{
		"head":   {d.uploads[0].Head.Body, func(b []byte) error { _, err := DecodeHead(b); return err }},
		"lock":   {d.uploads[0].Lock.Body, func(b []byte) error { _, err := DecodeLock(b); return err }},
		"upload": {d.uploads[0].Bytes(), func(b []byte) error { _, err := ParseUpload(b); return err }},
		"piece":  {d.piece(t, 0, 3).Bytes(), func(b []byte) error { _, err := ParsePiece(b); return err }},
		"rekey":  {d.rekey().Bytes(), func(b []byte) error { _, err := ParseRekey(b); return err }},
		"fault":  {fault.Bytes(), func(b []byte) error { _, err := ParseFault(b); return err }},
	} {
		if err := c.parse(c.data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		fields := c.data[0] & 0x1f
		more := append([]byte{c.data[0] + 1}, append(append([]byte(nil), c.data[1:]...), 23, 0)...)
		long := append([]byte{c.data[0], c.data[1], 0x18, wire.Version}, c.data[3:]...)
		for kind, bad := range map[string][]byte{
			"a byte more": append(append([]byte(nil), c.data...), 0), "a byte less": c.data[:len(c.data)-1],
			"a field more": more, "a long integer": long, "nothing": nil,
		} {
			if fields >= 23 {
				t.Fatalf("%s: this test knows maps of up to 22 fields only", name)
			}
			if c.parse(bad) == nil {
				t.Errorf("%s with %s: got no error", name, kind)
			}
		}
	}
}
