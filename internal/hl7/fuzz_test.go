package hl7

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/abaton-health/abaton/internal/fhir"
)

// FuzzParse: nothing panics, every refusal has a reason, and the answer to
// anything reads back.
func FuzzParse(f *testing.F) {
	for _, s := range samples() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := Parse(raw)
		h := HeaderOf(raw)
		if err == nil {
			h = m.Header()
			for _, s := range m.Segments() {
				for n := range 12 {
					for _, one := range s.Field(n).Each() {
						_, _, _ = one.Part(2).Sub(2).Text(), one.Whole(), one.Text()
					}
				}
			}
		} else if r, ok := errors.AsType[*Refusal](err); !ok || r.Reason == "" {
			t.Errorf("an error without a reason: %v", err)
		}
		answer, err := Parse(Acknowledge(h, Answer{Code: "AA", Reason: ReasonPatient, Text: "set aside; people look."}, at))
		if err != nil {
			return // of a header that is no text in its own character set
		}
		code, why := answer.First("MSA").Field(1).Text(), answer.First("ERR").Field(5).Text()
		if code != "AA" && code != "CA" || why != "unknown-patient" || answer.First("MSA").Field(3).Whole() != "set aside; people look." {
			t.Errorf("the answer is %q, %q", code, why)
		}
	})
}

// FuzzMap: what is mapped is a transaction of FHIR resources, the same each
// time, and holds the message whole.
func FuzzMap(f *testing.F) {
	for _, s := range samples() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := Parse(raw)
		if err != nil {
			return
		}
		one, err := Map(m, Options{Received: at})
		if err != nil {
			if r, ok := errors.AsType[*Refusal](err); !ok || r.Reason == "" {
				t.Errorf("an error without a reason: %v", err)
			}
			return
		}
		b, err := fhir.ParseBundle(one.Bundle)
		if err != nil || len(b.Entries) != one.Resources {
			t.Fatalf("the Bundle: %v", err)
		}
		again, err := Map(m, Options{Received: at})
		if err != nil || !bytes.Equal(one.Bundle, again.Bundle) {
			t.Error("mapped again it is another Bundle")
		}
		if !bytes.Equal(original(t, b), raw) {
			t.Error("the message is not whole in the Provenance")
		}
	})
}

// FuzzFrames: reading ends, in bounded steps, whatever comes.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("x\x0bone\x1c\x0dy\x0btwo\x1c\x0d"))
	f.Add([]byte("\x0b\x0b\x1c\x1c"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		frames := NewFrames(bytes.NewReader(stream))
		for range len(stream) + 1 {
			if _, err := frames.Next(); err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("got %v", err)
				}
				return
			}
		}
		t.Error("more frames than bytes")
	})
}

// FuzzMessages: a file gives messages that hold no line end but CR.
func FuzzMessages(f *testing.F) {
	f.Add([]byte("FHS|\nMSH|1\n\x0bMSH|2\r\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		err := Messages(bytes.NewReader(file), func(raw []byte) error {
			if len(raw) == 0 || bytes.IndexByte(raw, '\n') >= 0 {
				t.Error("an empty message, or one with a line feed")
			}
			return nil
		})
		if err != nil {
			t.Errorf("got %v", err)
		}
	})
}

// FuzzAside: what is set aside reads back, whatever it was.
func FuzzAside(f *testing.F) {
	f.Add([]byte("not a message"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := ParseAside(SetAside(raw, &Refusal{Reason: ReasonSyntax, Place: "MSH"}, at))
		if err != nil || !bytes.Equal(a.Raw, raw) || a.Refusal.Reason != ReasonSyntax {
			t.Errorf("got %v", err)
		}
		if _, err := ParseAside(raw); err == nil && len(raw) < 20 {
			t.Error("anything is an entry of the quarantine")
		}
		if got, retry := CutRetry(MarkRetry(raw)); !retry || !bytes.Equal(got, raw) {
			t.Error("the mark does not come off")
		}
	})
}
