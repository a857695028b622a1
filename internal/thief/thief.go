// Package thief opens what a thief of keepers' disks could open, and says so.
// It is the drill's own opener: it uses the keeper's secrets to unseal every
// share, reads every value and every raw file, and tries each way in which a
// record that is badly sealed, or not sealed, could be read.
//
//	loot, err := thief.Steal(ctx, copyDir, keeperDir) // as a copied disk
//	report, err := thief.Open(ctx, facts, loot)       // one keeper's folder
//	report, err = thief.Open(ctx, facts, loot1, loot2)
//
// A report without findings is worth what the opener can find; the tests plant
// each kind and see it found. It does not break ciphers, and it knows of the
// records only the facts it is given. No keeper links it.
package thief

import (
	"context"
	"fmt"
)

// Finding is one readable thing. It names kind and place, never the text.
type Finding struct {
	What  string `json:"what"`  // kind of fact, such as "name"
	How   string `json:"how"`   // what had to be undone, outermost first
	Where string `json:"where"` // file or table of a stolen folder
}

// FindingsMax is how many findings a report lists; it counts them all.
const FindingsMax = 50

// Report is what the thief got at, and what was readable in it.
type Report struct {
	Folders   int   `json:"folders"`
	Files     int   `json:"files"`
	FileBytes int64 `json:"file_bytes"`
	Values    int   `json:"values"`    // of the keepers' databases
	Fragments int   `json:"fragments"` // of sealed records
	Shares    int   `json:"shares"`    // unsealed with the keepers' own keys
	Sealed    int   `json:"sealed"`    // shares that did not unseal
	Secrets   int   `json:"secrets"`   // values tried as keys
	Trials    int64 `json:"trials"`    // decryptions tried
	Frames    int   `json:"frames"`    // places where a compressed stream may begin
	Parsed    int   `json:"parsed"`    // values that are CBOR or JSON, their strings searched
	Assembled int   `json:"assembled"` // guesses at whole code words
	Facts     int   `json:"facts"`     // facts searched for, each in eleven encodings
	// BitsPerByte is the entropy of all fragments; sealed ones have 8.
	BitsPerByte float64   `json:"bits_per_byte"`
	Found       int       `json:"found"`
	Findings    []Finding `json:"findings"`
}

// Readable says in one sentence what was found.
func (r *Report) Readable() string {
	if r.Found == 0 {
		return fmt.Sprintf("nothing readable in %d files, %d values, %d fragments, %d unsealed shares", r.Files, r.Values, r.Fragments, r.Shares)
	}
	f := r.Findings[0]
	return fmt.Sprintf("%d readable things; first: a %s in %s (%s)", r.Found, f.What, f.Where, f.How)
}

// entropyLeast is what the fragments of sealed records have at least, in bits
// per byte; padding and text have far less. It is judged only on fragmentBytesLeast
// and more: small samples of random bytes show less than they have.
const (
	entropyLeast       = 7.9
	fragmentBytesLeast = 64 << 10
)

// Open tries everything on the stolen folders, together and each by itself.
func Open(ctx context.Context, facts []Fact, stolen ...*Loot) (*Report, error) {
	o := &opener{report: &Report{Folders: len(stolen), Facts: len(facts)}, words: newMatcher(facts)}
	for _, l := range stolen {
		if err := o.ransack(ctx, l); err != nil {
			return nil, err
		}
	}
	o.measure(stolen)
	if err := o.assemble(ctx, stolen); err != nil {
		return nil, err
	}
	if err := o.tryKeys(ctx, stolen); err != nil {
		return nil, err
	}
	return o.report, nil
}

// opener is one attempt under way.
type opener struct {
	report *Report
	words  *matcher
}

func (o *opener) found(what, how, where string) {
	o.report.Found++
	if len(o.report.Findings) < FindingsMax {
		o.report.Findings = append(o.report.Findings, Finding{What: what, How: how, Where: where})
	}
}

// ransack looks at all files and all values of one folder.
func (o *opener) ransack(ctx context.Context, l *Loot) error {
	for _, f := range l.files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := o.file(l, f); err != nil {
			return err
		}
	}
	o.report.Values += len(l.values)
	o.report.Fragments += len(l.fragments)
	o.report.Shares += len(l.shares)
	o.report.Sealed += l.sealed
	for i, v := range l.values {
		if i%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		o.value(v.bytes, l.name+" "+v.table)
	}
	return nil
}
