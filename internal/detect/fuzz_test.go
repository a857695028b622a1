package detect

import (
	"encoding/binary"
	"reflect"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// FuzzActs reads any bytes as a stream of acts: no panic, Judge changes
// nothing, memory stays within its bound, the same bytes give the same memory.
func FuzzActs(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("0123456789abcdef0123456789abcdef"))
	long := make([]byte, 4096)
	for i := range long {
		long[i] = byte(i * 31)
	}
	f.Add(long)
	f.Fuzz(func(t *testing.T, b []byte) {
		one, two := New(Default()), New(Default())
		play(t, one, b, true)
		play(t, two, b, false)
		if !reflect.DeepEqual(one, two) {
			t.Error("judged and not judged: two memories")
		}
		if most := len(one.trails)*ProgramBytesMax + len(one.readers)*readersBytes + 1<<16; one.Bytes() > most {
			t.Errorf("bytes: got %d, want at most %d", one.Bytes(), most)
		}
	})
}

// play takes eight bytes for each act.
func play(t *testing.T, w *Watch, b []byte, judge bool) {
	at := start
	for ; len(b) >= 8; b = b[8:] {
		word := binary.LittleEndian.Uint64(b)
		pick := func(n uint64) int { v := word % n; word /= n; return int(v) }
		switch pick(8) {
		case 0:
			at += int64(pick(100_000)) - 1000
		case 1:
			at = int64(word) // anything at all
		default:
			at += int64(pick(64))
		}
		a := Act{
			Time: at, Actor: actorOf(pick(6)), Organisation: nameOf('o', 0), Patient: patientOf(pick(2000)), Session: sessionOf(pick(4)), Device: deviceOf(pick(3)),
			Role: []string{"", abaton.RoleNurse, abaton.RoleBatch}[pick(3)], Opens: pick(8) != 0, Related: pick(3) != 0,
		}
		bits := pick(512)
		flag := func(i int) bool { return bits&(1<<i) != 0 && bits&256 != 0 }
		a.Emergency, a.Renewal, a.Stepped, a.Delicate, a.Honey, a.OffShift, a.Program = flag(0), flag(1), flag(2), flag(3), flag(4), flag(5), flag(6)
		if flag(7) {
			a.Refused = []abaton.Reason{abaton.ReasonGrant, abaton.ReasonStepUp, abaton.ReasonStorage}[pick(3)]
		}
		if judge {
			if f := w.Judge(&a); (f.Level == 0) != (f.Rules == 0) || f.Level > SuspendPerson || f.Rules&^AllRules != 0 {
				t.Fatalf("finding: got %v", f)
			}
		}
		w.Note(&a, pick(5) != 0)
		if pick(16) == 0 {
			w.Settle(at)
		}
		if pick(32) == 0 {
			w.Explain(a.Actor, a.Patient)
			w.Unexplained(at)
		}
	}
}

// FuzzThresholds: what is read is within the caps, and written again the same.
func FuzzThresholds(f *testing.F) {
	f.Add(Default().Encode())
	f.Add(wire.Marshal(Thresholds{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Parse(b)
		if err != nil {
			return
		}
		if err := got.Valid(); err != nil {
			t.Errorf("read, but not valid: %v", err)
		}
		if string(got.Encode()) != string(b) {
			t.Error("read and written again: other bytes")
		}
	})
}
