package contain_test

import (
	"bytes"
	"testing"

	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/wire"
)

func TestParse(t *testing.T) {
	said := says(t, 2, doctor, detect.SuspendPerson, now)
	got, err := contain.Parse(said.Marshal())
	if err != nil || got.Name() != said.Name() || got.Subject != doctor {
		t.Fatalf("got %v, want the same verdict", err)
	}
	for name, spoil := range map[string]func(*contain.Verdict){
		"no version":             func(v *contain.Verdict) { v.V = 0 },
		"no keeper":              func(v *contain.Verdict) { v.Keeper = 0 },
		"no organisation":        func(v *contain.Verdict) { v.Organisation = [32]byte{} },
		"no subject":             func(v *contain.Verdict) { v.Subject = contain.Subject{} },
		"unknown kind":           func(v *contain.Verdict) { v.Subject.Kind = 5 },
		"only to notify":         func(v *contain.Verdict) { v.Level = detect.Notify },
		"unknown level":          func(v *contain.Verdict) { v.Level = 8 },
		"session, of a person":   func(v *contain.Verdict) { v.Level = detect.SuspendSession },
		"another's organisation": func(v *contain.Verdict) { v.Subject, v.Level = contain.Organisation([32]byte{1}), detect.StepUp },
		"no rule":                func(v *contain.Verdict) { v.Rules = 0 },
		"no time":                func(v *contain.Verdict) { v.Time = 0 },
		"no life":                func(v *contain.Verdict) { v.Until = v.Time },
		"too long a life":        func(v *contain.Verdict) { v.Until = v.Time + 24*3600 + 1 },
		"no nonce":               func(v *contain.Verdict) { v.Nonce = [16]byte{} },
		"loose evidence":         func(v *contain.Verdict) { v.Evidence = []byte{1} },
	} {
		v := said.Verdict
		spoil(&v)
		if _, err := contain.Parse(wire.Marshal(signer.Seal(wire.Verdict, wire.Marshal(v)))); err == nil {
			t.Errorf("%s: parsed", name)
		}
	}
	if _, err := contain.Parse(make([]byte, contain.BytesMax+1)); err == nil {
		t.Error("oversized: parsed")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(says(f, 2, doctor, detect.SuspendPerson, now).Marshal())
	v := says(f, 3, seat, detect.StepUp, now).Verdict
	v.Evidence = (&contain.Evidence{Statement: []byte{1}, Request: []byte{2}}).Marshal()
	f.Add(wire.Marshal(signer.Seal(wire.Verdict, wire.Marshal(v))))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := contain.Parse(data)
		if err != nil {
			return
		}
		if !bytes.Equal(s.Marshal(), data) {
			t.Error("parsed, and not in its one form")
		}
		l := contain.NewLadder(own)
		if took, err := l.Put(s, false, s.Time, nil); err == nil && took {
			l.At(s.Time, nil, s.Subject)
		}
	})
}
