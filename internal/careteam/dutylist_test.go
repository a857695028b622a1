package careteam_test

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/careteam"
	"github.com/abaton-health/abaton/key"
)

// TestDutyList: what is added to the list is found at once, the last chart of a
// patient counts, and a list that is gone, shrank or was written by somebody
// else gives no answer.
func TestDutyList(t *testing.T) {
	path, org, box := filepath.Join(t.TempDir(), "duty"), abaton.ActorID{9}, key.NewBox()
	if _, err := careteam.OpenDutyList(path, org, box); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no list: got %v, want that it is missing", err)
	}
	if err := careteam.AddDutyNote(path, []byte("x\n")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("add to no list: got %v, want that it is missing", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := careteam.OpenDutyList(path, org, box)
	if err != nil {
		t.Fatal(err)
	}
	add := func(d careteam.DutyNote, to key.BoxPublic) {
		t.Helper()
		line, err := d.Seal(org, to)
		if err != nil {
			t.Fatal(err)
		}
		if err := careteam.AddDutyNote(path, line); err != nil {
			t.Fatal(err)
		}
	}
	want := func(patient, chart abaton.ActorID) {
		t.Helper()
		if got, err := l.Chart(patient); err != nil || got != chart {
			t.Errorf("chart of %x: got %x, %v; want %x", patient[0], got[0], err, chart[0])
		}
	}
	ana, ben := abaton.ActorID{1}, abaton.ActorID{2}
	want(ana, abaton.ActorID{})
	add(careteam.DutyNote{Patient: ana, Chart: abaton.ActorID{11}}, box.Public())
	want(ana, abaton.ActorID{11})
	want(ben, abaton.ActorID{})
	add(careteam.DutyNote{Patient: ben, Chart: abaton.ActorID{12}}, box.Public())
	add(careteam.DutyNote{Patient: ana, Chart: abaton.ActorID{13}}, box.Public())
	want(ana, abaton.ActorID{13})
	want(ben, abaton.ActorID{12})

	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := careteam.AddDutyNote(path, []byte("half a li")); err != nil {
		t.Fatal(err)
	}
	want(ana, abaton.ActorID{13})
	refused := func(what string) {
		t.Helper()
		if _, err := l.Chart(ana); err == nil {
			t.Errorf("%s: got an answer, want none", what)
		}
	}
	if err := os.WriteFile(path, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	refused("a shorter list")
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	want(ana, abaton.ActorID{13})
	add(careteam.DutyNote{Patient: ana, Chart: abaton.ActorID{14}}, key.NewBox().Public())
	refused("a line for another gateway")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	refused("no list any more")
}

// TestDutyPart: a part is for one person and one chart.
func TestDutyPart(t *testing.T) {
	own, chart, part := key.NewBox(), abaton.ActorID{1}, key.NewSecret()
	text, err := careteam.SealDutyPart(chart, part, own.Public())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := careteam.OpenDutyPart(chart, text, own); err != nil || got != part {
		t.Errorf("open: %v, want the part", err)
	}
	for name, err := range map[string]error{
		"another person": second(careteam.OpenDutyPart(chart, text, key.NewBox())),
		"another chart":  second(careteam.OpenDutyPart(abaton.ActorID{2}, text, own)),
		"cut":            second(careteam.OpenDutyPart(chart, text[:len(text)-4], own)),
		"nothing":        second(careteam.OpenDutyPart(chart, "", own)),
	} {
		if !errors.Is(err, careteam.ErrDutyPart) {
			t.Errorf("%s: got %v, want it not to open", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func FuzzParseDutyNote(f *testing.F) {
	box, org := key.NewBox(), abaton.ActorID{9}
	line, err := careteam.DutyNote{Patient: abaton.ActorID{1}, Chart: abaton.ActorID{2}}.Seal(org, box.Public())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line[:len(line)-1])
	f.Add([]byte(base64.RawStdEncoding.EncodeToString(make([]byte, 64))))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := careteam.ParseDutyNote(data, org, box)
		if (err == nil) != (d != careteam.DutyNote{}) {
			t.Fatal("an answer beside an error, or neither")
		}
	})
}

func FuzzOpenDutyPart(f *testing.F) {
	own, chart := key.NewBox(), abaton.ActorID{1}
	text, err := careteam.SealDutyPart(chart, key.NewSecret(), own.Public())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text string) {
		if part, err := careteam.OpenDutyPart(chart, text, own); err == nil && part.IsZero() {
			t.Fatal("opened to nothing")
		}
	})
}
