package seal

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// TestCheckRefuses alters one thing of an upload at a time.
func TestCheckRefuses(t *testing.T) {
	w := newWorld()
	s, other := w.seal(t, 2), w.seal(t, 2)
	cases := []struct {
		name   string
		want   abaton.Reason
		change func(u *spread.Upload)
	}{
		{"version", abaton.ReasonMalformed, func(u *spread.Upload) { u.Version = 2 }},
		{"another keeper's", abaton.ReasonKeeperSet, func(u *spread.Upload) { u.X = 3 }},
		{"head signature", abaton.ReasonSignature, func(u *spread.Upload) { u.Head.Sig = flip(u.Head.Sig, 0) }},
		{"head bytes", abaton.ReasonSignature, func(u *spread.Upload) { u.Head.Body = flip(u.Head.Body, 60) }},
		{"lock signature", abaton.ReasonSignature, func(u *spread.Upload) { u.Lock.Sig = flip(u.Lock.Sig, 0) }},
		{"lock of another batch", abaton.ReasonMalformed, func(u *spread.Upload) { u.Lock = other.Lock }},
		{"head of another batch", abaton.ReasonMalformed, func(u *spread.Upload) { u.Head = other.Head }},
		{"capsule", abaton.ReasonCapsule, func(u *spread.Upload) { u.Capsule = flip(u.Capsule, 0) }},
		{"capsule length", abaton.ReasonMalformed, func(u *spread.Upload) { u.Capsule = u.Capsule[1:] }},
		{"fragment", abaton.ReasonBody, func(u *spread.Upload) { u.Rows[1].Fragment = flip(u.Rows[1].Fragment, 0) }},
		{"fragment length", abaton.ReasonMalformed, func(u *spread.Upload) { u.Rows[1].Fragment = u.Rows[1].Fragment[1:] }},
		{"word length", abaton.ReasonMalformed, func(u *spread.Upload) { u.Rows[1].Length-- }},
		{"word too long", abaton.ReasonTooLarge, func(u *spread.Upload) { u.Rows[1].Length = 1 << 31 }},
		{"other fragment's hash", abaton.ReasonBody, func(u *spread.Upload) { u.Rows[1].Others[2][0] ^= 1 }},
		{"hashes exchanged", abaton.ReasonBody, func(u *spread.Upload) {
			o := u.Rows[1].Others
			o[0], o[1] = o[1], o[0]
		}},
		{"one hash fewer", abaton.ReasonMalformed, func(u *spread.Upload) { u.Rows[1].Others = u.Rows[1].Others[1:] }},
		{"share", abaton.ReasonShare, func(u *spread.Upload) { u.Rows[2].Share[31] ^= 1 }},
		{"shares exchanged", abaton.ReasonShare, func(u *spread.Upload) {
			u.Rows[1].Share, u.Rows[2].Share = u.Rows[2].Share, u.Rows[1].Share
		}},
		{"records exchanged", abaton.ReasonBody, func(u *spread.Upload) { u.Rows[1], u.Rows[2] = u.Rows[2], u.Rows[1] }},
		{"record left out", abaton.ReasonMalformed, func(u *spread.Upload) { u.Rows = u.Rows[:2] }},
		{"record added", abaton.ReasonMalformed, func(u *spread.Upload) { u.Rows = append(u.Rows, u.Rows[0]) }},
		{"lock by another key", abaton.ReasonWriter, func(u *spread.Upload) {
			l, _ := spread.ParseLock(u.Lock)
			thief := key.NewSigning()
			l.Locker = thief.ID()
			u.Lock = thief.Seal(wire.Lock, l.Bytes())
		}},
		{"second lock first", abaton.ReasonMalformed, func(u *spread.Upload) {
			l, _ := spread.ParseLock(u.Lock)
			l.Number, l.PrevLock = 2, spread.Hash32{1}
			u.Lock = w.writer.Seal(wire.Lock, l.Bytes())
		}},
	}
	for _, c := range cases {
		u, err := spread.ParseUpload(s.Uploads[0].Bytes())
		if err != nil {
			t.Fatal(err)
		}
		c.change(u)
		checked, err := spread.Check(u, w.shape, w.set, 1)
		if refused, ok := errors.AsType[*abaton.RefusedError](err); !ok || refused.Reason != c.want || checked != nil {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
	u := s.Uploads[0]
	shape := spread.FiveKeepers()
	shape.T = 2
	for name, check := range map[string]func() error{
		"another set":      func() error { _, err := spread.Check(u, w.shape, abaton.ActorID{9}, 1); return err },
		"another shape":    func() error { _, err := spread.Check(u, shape, w.set, 1); return err },
		"zero shape":       func() error { _, err := spread.Check(u, spread.Shape{}, w.set, 1); return err },
		"as another":       func() error { _, err := spread.Check(u, w.shape, w.set, 2); return err },
		"outside the set":  func() error { _, err := spread.Check(u, w.shape, w.set, 9); return err },
		"outside, as zero": func() error { _, err := spread.Check(u, w.shape, w.set, 0); return err },
	} {
		if refused, ok := errors.AsType[*abaton.RefusedError](check()); !ok || refused.Reason != abaton.ReasonKeeperSet {
			t.Errorf("%s: got %v, want keeper-set", name, refused)
		}
	}
}

// fields calls try for every field of *v, nested structs flattened, with a
// function that changes it.
func fields(v reflect.Value, path string, try func(path string, change func(reflect.Value))) {
	walk(v.Type(), path, nil, try)
}

func walk(typ reflect.Type, path string, index [][]int, try func(string, func(reflect.Value))) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Name == "_" {
			continue
		}
		at := append(slices.Clone(index), []int{i})
		if f.Type.Kind() == reflect.Struct {
			walk(f.Type, path+f.Name+".", at, try)
			continue
		}
		try(path+f.Name, func(v reflect.Value) {
			for _, step := range at {
				v = v.FieldByIndex(step)
			}
			nudge(v)
		})
	}
}

func nudge(v reflect.Value) {
	switch v.Kind() {
	case reflect.Array:
		nudge(v.Index(v.Len() - 1))
	case reflect.Slice:
		nudge(v.Index(v.Len() - 1))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(v.Uint() ^ 1)
	default:
		panic("no way to change a " + v.Kind().String())
	}
}

// TestEveryFieldIsBound is T5 for HEAD and LOCK: whatever field their own
// writer changes and signs again, everything else is refused with it.
func TestEveryFieldIsBound(t *testing.T) {
	w := newWorld()
	s := w.seal(t, 3)
	refused := func(name string, head, lock wire.Signed) {
		u := *s.Uploads[0]
		u.Head, u.Lock = head, lock
		if _, err := spread.Check(&u, w.shape, w.set, 1); err == nil {
			t.Errorf("%s: a keeper accepts", name)
		}
		for _, stored := range w.stored(t, s)[:3] {
			stored.Head, stored.Lock = head, lock
			p, err := spread.MakePiece(stored, all(len(stored.Rows)))
			if err != nil {
				continue // not even a keeper's answer
			}
			if w.gather(t, spread.NameOf(head.Body), all(4)).Add(stored.X, p.Bytes()) == nil {
				t.Errorf("%s: a reader accepts", name)
			}
		}
	}
	head, _ := spread.ParseHead(s.Head)
	lock, _ := spread.ParseLock(s.Lock)
	count := 0
	fields(reflect.ValueOf(head).Elem(), "head.", func(path string, change func(reflect.Value)) {
		h, l := *head, *lock
		change(reflect.ValueOf(&h).Elem())
		signed := w.writer.Seal(wire.Head, h.Bytes())
		l.Batch = spread.NameOf(signed.Body)
		refused(path, signed, w.writer.Seal(wire.Lock, l.Bytes()))
		count++
	})
	fields(reflect.ValueOf(lock).Elem(), "lock.", func(path string, change func(reflect.Value)) {
		l := *lock
		l.Kappa, l.Rho = slices.Clone(l.Kappa), slices.Clone(l.Rho)
		// The last entry is another keeper's; each keeper sees its own.
		slices.Reverse(l.Kappa)
		slices.Reverse(l.Rho)
		change(reflect.ValueOf(&l).Elem())
		slices.Reverse(l.Kappa)
		slices.Reverse(l.Rho)
		signed := w.writer.Seal(wire.Lock, l.Bytes())
		if path == "lock.Kappa" || path == "lock.Rho" {
			u := *s.Uploads[0]
			u.Lock = signed
			if _, err := spread.Check(&u, w.shape, w.set, 1); err == nil {
				t.Errorf("%s: a keeper accepts", path)
			}
			return
		}
		refused(path, s.Head, signed)
		count++
	})
	if count < 20 {
		t.Errorf("tried %d fields, want at least 20", count)
	}
}

// TestEveryContextIsBound is T5 for the contexts below the signatures: each
// argument of each of them changes the result.
func TestEveryContextIsBound(t *testing.T) {
	lock := spread.Lock{Batch: abaton.BatchName{1}, Segment: abaton.SegmentID{2}, Number: 3, Set: spread.SetRef{Set: abaton.ActorID{4}, Shape: spread.Hash32{5}}, Gone: 6}
	line := abaton.Line{7}
	base := spread.Ctx(line, &lock)
	unbound := map[string]bool{"Version": true, "Kappa": true, "Rho": true, "PrevLock": true, "Locker": true} // signed in LOCK, and not part of ctx
	lock.Kappa, lock.Rho = []spread.Hash32{{}}, []spread.Hash32{{}}
	fields(reflect.ValueOf(&lock).Elem(), "", func(path string, change func(reflect.Value)) {
		l := lock
		change(reflect.ValueOf(&l).Elem())
		if got, want := spread.Ctx(line, &l) == base, unbound[path]; got != want {
			t.Errorf("ctx without %s: unbound got %v, want %v", path, got, want)
		}
	})
	if spread.Ctx(abaton.Line{8}, &lock) == base {
		t.Error("ctx does not bind the line")
	}
	distinct := func(name string, values ...spread.Hash32) {
		for i := range values {
			if slices.Contains(values[i+1:], values[i]) {
				t.Errorf("%s: two contexts give one value", name)
			}
		}
	}
	a, b := spread.Hash32{1}, spread.Hash32{2}
	distinct("share leaf", spread.ShareLeaf(a, 1, 0, [32]byte{}), spread.ShareLeaf(b, 1, 0, [32]byte{}), spread.ShareLeaf(a, 2, 0, [32]byte{}),
		spread.ShareLeaf(a, 1, 1, [32]byte{}), spread.ShareLeaf(a, 1, 0, [32]byte{1}), spread.GoneLeaf(a, 1, 0), spread.GoneLeaf(b, 1, 0),
		spread.GoneLeaf(a, 2, 0), spread.GoneLeaf(a, 1, 1))
	distinct("fragment", spread.FragmentHash(1, 0, nil), spread.FragmentHash(2, 0, nil), spread.FragmentHash(1, 1, nil), spread.FragmentHash(1, 0, []byte{0}))
	distinct("capsule", spread.CapsuleHash(a, 1, nil), spread.CapsuleHash(b, 1, nil), spread.CapsuleHash(a, 2, nil), spread.CapsuleHash(a, 1, []byte{0}))
	distinct("body leaf", spread.BodyLeaf(0, 1, []spread.Hash32{a, b}), spread.BodyLeaf(1, 1, []spread.Hash32{a, b}),
		spread.BodyLeaf(0, 2, []spread.Hash32{a, b}), spread.BodyLeaf(0, 1, []spread.Hash32{b, a}))
	k := key.NewSecret()
	distinct("mask", spread.Hash32(maskOf(k, 0)), spread.Hash32(maskOf(k, 1)), spread.Hash32(maskOf(key.NewSecret(), 0)))
}

// TestBodyContext: a body opens only with its own key, patient, nonce, size
// and place.
func TestBodyContext(t *testing.T) {
	k, raw := key.NewSecret(), []byte("abaton-test-only text")
	patient, nonce := abaton.ActorID{1}, [16]byte{2}
	word, err := sealBody(k, raw, bodyContext(patient, nonce, 3, 1))
	if err != nil {
		t.Fatal(err)
	}
	try := func(k key.Secret, aad []byte) bool {
		got, err := openBody(k, word, aad, newestDictionary())
		return err == nil && string(got) == string(raw)
	}
	if !try(k, bodyContext(patient, nonce, 3, 1)) {
		t.Fatal("the right context does not open")
	}
	for name, aad := range map[string][]byte{
		"patient": bodyContext(abaton.ActorID{9}, nonce, 3, 1), "nonce": bodyContext(patient, [16]byte{9}, 3, 1),
		"size": bodyContext(patient, nonce, 4, 1), "place": bodyContext(patient, nonce, 3, 2),
	} {
		if try(k, aad) {
			t.Errorf("another %s opens", name)
		}
	}
	if try(key.NewSecret(), bodyContext(patient, nonce, 3, 1)) {
		t.Error("another key opens")
	}
}

// TestSwaps is T5 between batches: the rows of one never serve the other,
// whatever else agrees.
func TestSwaps(t *testing.T) {
	w := newWorld()
	for name, change := range map[string]func(*Batch){
		"nothing": func(*Batch) {}, "segment": func(b *Batch) { b.Segment = key.NewBox().Public() },
		"patient": func(b *Batch) { b.Patient[3] ^= 1 }, "line": func(b *Batch) { b.Line[3] ^= 1 }, "set": func(b *Batch) { b.Set[3] ^= 1 },
	} {
		b := w.batch(1)
		one, err := Seal(b)
		if err != nil {
			t.Fatal(err)
		}
		change(&b)
		b.Records[0].Envelope.Patient, b.Records[0].Envelope.Line = b.Patient, b.Line
		two, err := Seal(b)
		if err != nil {
			t.Fatal(err)
		}
		for part, swap := range map[string]func(u, v *spread.Upload){
			"fragment": func(u, v *spread.Upload) {
				u.Rows[0].Fragment, u.Rows[0].Others = v.Rows[0].Fragment, v.Rows[0].Others
			},
			"share":   func(u, v *spread.Upload) { u.Rows[0].Share = v.Rows[0].Share },
			"capsule": func(u, v *spread.Upload) { u.Capsule = v.Capsule },
			"lock":    func(u, v *spread.Upload) { u.Lock = v.Lock },
			"head":    func(u, v *spread.Upload) { u.Head = v.Head },
		} {
			u, err := spread.ParseUpload(one.Uploads[0].Bytes())
			if err != nil {
				t.Fatal(err)
			}
			swap(u, two.Uploads[0])
			if _, err := spread.Check(u, w.shape, w.set, 1); err == nil {
				t.Errorf("batches that differ in %s: swapped %s accepted", name, part)
			}
		}
	}
}

// TestUploadBox: an upload opens for its keeper of its set and nobody else.
func TestUploadBox(t *testing.T) {
	w := newWorld()
	u, box := w.seal(t, 1).Uploads[2], key.NewBox()
	sealed, err := spread.SealUpload(u, w.set, box.Public())
	if err != nil {
		t.Fatal(err)
	}
	got, err := spread.OpenUpload(sealed, w.set, 3, box)
	if err != nil || string(got.Bytes()) != string(u.Bytes()) {
		t.Fatalf("OpenUpload: got %v, want the upload", err)
	}
	for name, open := range map[string]func() error{
		"another key":     func() error { _, err := spread.OpenUpload(sealed, w.set, 3, key.NewBox()); return err },
		"another set":     func() error { _, err := spread.OpenUpload(sealed, abaton.ActorID{9}, 3, box); return err },
		"another keeper":  func() error { _, err := spread.OpenUpload(sealed, w.set, 2, box); return err },
		"an altered byte": func() error { _, err := spread.OpenUpload(flip(sealed, 1500), w.set, 3, box); return err },
		"too short":       func() error { _, err := spread.OpenUpload(sealed[:100], w.set, 3, box); return err },
	} {
		if open() == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}
