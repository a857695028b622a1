package people

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// ownFile lies beside a patient's keys: what a record has that does not follow
// from the root alone. Absent for most.
const ownFile = "own"

type ownForm struct {
	V   uint8  `cbor:"1,keyasint"`
	Set []byte `cbor:"2,keyasint"` // the signed first emergency set, which follows Way
	Old []byte `cbor:"3,keyasint"` // PROTOCOL.md#seeds, or empty
}

// saveOwn makes what does not follow from the root durable, before it counts.
func (w *World) saveOwn(p *Person) error {
	f := ownForm{V: wire.Version, Set: p.Set}
	if len(p.Old) > 0 {
		f.Old = grant.MarshalSeeds(p.Old)
	}
	if err := os.MkdirAll(w.Dir(p.Handle), 0o700); err != nil {
		return fmt.Errorf("save person: %w", err)
	}
	return durable.WriteFile(filepath.Join(w.Dir(p.Handle), ownFile), wire.Marshal(f), 0o600)
}

func (w *World) loadOwn(p *Person) error {
	data, err := os.ReadFile(filepath.Join(w.Dir(p.Handle), ownFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return p.parseOwn(data)
}

// parseOwn reads the file strictly.
func (p *Person) parseOwn(data []byte) error {
	var f ownForm
	if wire.Unmarshal(data, &f) != nil || f.V != wire.Version {
		return errDamaged
	}
	var old []grant.Seed
	if len(f.Old) > 0 {
		var err error
		if old, err = grant.ParseSeeds(f.Old); err != nil {
			return errDamaged
		}
	}
	p.Set, p.Old = f.Set, old
	return nil
}

// Line is the name of a category's line in this person's own record. A line
// keeps its name when the record gets another root.
func (p *Person) Line(c abaton.Category) abaton.Line {
	for _, s := range p.Old {
		if s.Category == c {
			return s.Line
		}
	}
	return p.Root.Line(c)
}

// seedOf is the seed of an epoch of a line: of a patient's record, or of an
// organisation's directory and quarantine.
func (p *Person) seedOf(line abaton.Line, c abaton.Category, epoch uint32) key.Secret {
	if s, ok := p.Seed(line, epoch); ok {
		return s.Seed
	}
	return p.Root.SegmentSeed(c, epoch)
}

// Seed is the seed of a line's epoch, if the line is one of this person's own
// record. Its level is the category's.
func (p *Person) Seed(line abaton.Line, epoch uint32) (grant.Seed, bool) {
	for _, s := range p.Old {
		if s.Line == line && s.Epoch == epoch {
			return s, true
		}
	}
	for _, c := range fhir.Categories() {
		if p.Line(c.ID()) == line {
			return grant.Seed{Line: line, Category: c.ID(), Level: c.Level(), Epoch: epoch, Seed: p.Root.SegmentSeed(c.ID(), epoch)}, true
		}
	}
	return grant.Seed{}, false
}
