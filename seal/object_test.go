package seal

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"

	"github.com/abaton-health/abaton/spread"
)

// part is a batch of one part.
func (w *world) part(content []byte) Batch {
	b := w.batch(1)
	b.Facts = nil
	b.Records[0].Envelope.Kind, b.Records[0].Envelope.Type = KindPart, "Binary"
	b.Records[0].Content = content
	return b
}

// opened opens all records from the first three keepers.
func (w *world) opened(t *testing.T, s *Sealed) []Opened {
	t.Helper()
	opened, err := Open(w.segment, w.gatherFrom(t, s, 0, 1, 2).Result(), w.authors)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// TestPartIsOfItsClass: HEAD says that a batch is a part, and a batch whose HEAD
// and envelope do not agree never opens: nobody hides a record from a chart, or
// puts a part into one.
func TestPartIsOfItsClass(t *testing.T) {
	w := newWorld()
	content := make([]byte, 300<<10)
	rand.Read(content)
	sealed, err := Seal(w.part(content))
	if err != nil {
		t.Fatal(err)
	}
	head, err := spread.ParseHead(sealed.Head)
	if err != nil || head.Class != spread.PartClass {
		t.Fatalf("head: got class %d, %v, want a part", head.Class, err)
	}
	opened := w.opened(t, sealed)
	if opened[0].Err != nil || !bytes.Equal(opened[0].Record.Content, content) {
		t.Errorf("open: %v, want the content", opened[0].Err)
	}
	hidden := dishonest(t, w.batch(1), func(s *sealing) { s.batch.Records = []Record{{Envelope: Envelope{Kind: KindPart}}} })
	shown := dishonest(t, w.part(content), func(s *sealing) { s.batch.Records = []Record{{Envelope: Envelope{Kind: KindResource}}} })
	for name, s := range map[string]*Sealed{"a resource said to be a part": hidden, "a part said to be none": shown} {
		if got := w.opened(t, s)[0]; !errors.Is(got.Err, ErrFaulty) || got.Record.Content != nil {
			t.Errorf("%s: got %v, want ErrFaulty", name, got.Err)
		}
	}
}

func TestSealRefusesBadObjects(t *testing.T) {
	w := newWorld()
	two := w.batch(2)
	two.Records[1].Envelope.Kind = KindPart
	bad := w.batch(1)
	bad.Records[0].Envelope.Kind = KindObject
	for name, b := range map[string]Batch{"a part beside another record": two, "an object that is no manifest": bad} {
		if _, err := Seal(b); !errors.Is(err, ErrBatch) {
			t.Errorf("%s: got %v, want ErrBatch", name, err)
		}
	}
	good := w.batch(1)
	good.Records[0].Envelope.Kind, good.Records[0].Content = KindObject, sampleObject().Marshal()
	sealed, err := Seal(good)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.opened(t, sealed)[0]; got.Err != nil {
		t.Errorf("an object: %v", got.Err)
	}
	liar := dishonestContent(t, w, good)
	if got := w.opened(t, liar)[0]; !errors.Is(got.Err, ErrFaulty) {
		t.Errorf("a record of kind object that is none: got %v, want ErrFaulty", got.Err)
	}
}

// dishonestContent seals a record of kind object whose content is no manifest,
// past the check of Seal.
func dishonestContent(t *testing.T, w *world, b Batch) *Sealed {
	t.Helper()
	b.Records = append([]Record(nil), b.Records...)
	b.Records[0].Content = []byte("no manifest")
	return dishonest(t, b, func(*sealing) {})
}

// TestLongTextsThatDoNotShrink: such a text is stored without all of it being
// tried, and one that does shrink is still compressed.
func TestLongTextsThatDoNotShrink(t *testing.T) {
	noise := make([]byte, 1<<20)
	rand.Read(noise)
	var text []byte
	for i := range 1 << 15 {
		text = fmt.Appendf(text, "line %d of a long report, much like the next one\n", i*7919)
	}
	for name, c := range map[string]struct {
		raw  []byte
		want bool
	}{"noise": {noise, false}, "a report": {text, true}, "short noise": {noise[:1000], true}} {
		if got, err := worthwhile(c.raw); err != nil || got != c.want {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, c.want)
		}
	}
	plain, err := pack(noise)
	if err != nil || plain[0] != codecStored {
		t.Errorf("noise: got codec %d, %v, want it stored", plain[0], err)
	}
	if plain, err = pack(text); err != nil || !Identity && plain[0] != codecZstd {
		t.Errorf("a report: got codec %d, %v, want it compressed", plain[0], err)
	}
}
