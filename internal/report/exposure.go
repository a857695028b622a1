package report

import (
	"cmp"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
)

// NotKnown is the class of records of whose lines nobody said what they hold: their
// names are random, and a keeper or an officer does not know (PROTOCOL.md#line).
const NotKnown = "not known to us"

// Class says which class a line's records are of. Whose software has the record open
// knows it and may say it: the patient's, or a reader's.
type Class struct {
	Line  string `json:"line"`
	Class string `json:"class"` // of Classes
}

// Classes are the classes that may be stated: the sensitivity categories of records,
// and the priority categories of EHDS Article 14.
func Classes() []string {
	all := []string{"addiction", "genetic", "hiv-sti", "psychiatric", "psychotherapy-notes", "reproductive", "safeguarding"}
	for c := range wordsOf("en").Classes {
		all = append(all, c)
	}
	slices.Sort(all)
	return all
}

// inLetters reports whether a letter may name a class. Of the sensitive ones it says
// nothing, neither to people nor in the file attached: others may open it.
func inLetters(class string) bool { return wordsOf("en").Classes[class] != "" }

// Exposure is who and what was exposed, for counting by machine: the numbers of the
// scope, by class, person and time.
type Exposure struct {
	Classes []ClassCount `json:"classes"` // ascending by class
	Rows    []Exposed    `json:"rows"`    // ascending by patient, then class
}

// ClassCount counts one class over all patients.
type ClassCount struct {
	Class   string  `json:"class"`
	People  int     `json:"people"`
	Records Records `json:"records"`
}

// Exposed is one class of one patient; times are unix seconds of the first and last
// request for it.
type Exposed struct {
	Patient string  `json:"patient"`
	Class   string  `json:"class"`
	Records Records `json:"records"`
	First   int64   `json:"first"`
	Last    int64   `json:"last"`
}

// exposureOf counts patients' batches by class.
func exposureOf(patients []Patient, stated []Class) Exposure {
	e := Exposure{Classes: []ClassCount{}, Rows: []Exposed{}}
	for i := range patients {
		for _, row := range exposedOf(&patients[i], stated) {
			at, known := slices.BinarySearchFunc(e.Classes, row.Class, func(c ClassCount, class string) int { return strings.Compare(c.Class, class) })
			if !known {
				e.Classes = slices.Insert(e.Classes, at, ClassCount{Class: row.Class})
			}
			c := &e.Classes[at]
			c.People++
			c.Records.add(row.Records)
			e.Rows = append(e.Rows, row)
		}
	}
	return e
}

func exposedOf(p *Patient, stated []Class) (rows []Exposed) {
	for i := range p.Batches {
		b := &p.Batches[i]
		class := classOf(b.Lines, stated)
		at := slices.IndexFunc(rows, func(r Exposed) bool { return r.Class == class })
		if at < 0 {
			rows, at = append(rows, Exposed{Patient: p.Patient, Class: class, First: b.First}), len(rows)
		}
		r := &rows[at]
		r.Records.add(b.records())
		r.First, r.Last = min(r.First, b.First), max(r.Last, b.Last)
	}
	slices.SortFunc(rows, func(a, b Exposed) int { return strings.Compare(a.Class, b.Class) })
	return rows
}

func (r *Records) add(more Records) {
	r.Opened, r.Close, r.Asked = r.Opened+more.Opened, r.Close+more.Close, r.Asked+more.Asked
}

func (b *Batch) records() Records {
	count := func(text string) int {
		n, err := strconv.ParseUint(text, 16, 64)
		if err != nil {
			return 0 // Verify compares these texts with the entries
		}
		return bits.OnesCount64(n)
	}
	return Records{count(b.Opened), count(b.Close), count(b.Asked)}
}

// classOf is the class of a batch that is of one of some lines: known if all of them
// are stated to be of the same.
func classOf(lines []string, stated []Class) string {
	class := ""
	for _, line := range lines {
		at := slices.IndexFunc(stated, func(c Class) bool { return c.Line == line })
		if at < 0 || class != "" && class != stated[at].Class {
			return NotKnown
		}
		class = stated[at].Class
	}
	return cmp.Or(class, NotKnown)
}

// linesOf are the lines that a batch may be of: those that all requests for it name.
func linesOf(q *ledger.TouchedPatient, batch abaton.BatchName) (lines []string, first, last int64) {
	var left []abaton.Line
	for i := range q.Lines {
		l := &q.Lines[i]
		if !slices.ContainsFunc(l.Rows, func(r ledger.LineRow) bool { return r.Batch == batch }) {
			continue
		}
		if first == 0 {
			left = slices.Clone(l.Lines)
		}
		left = slices.DeleteFunc(left, func(x abaton.Line) bool { return !slices.Contains(l.Lines, x) })
		first, last = min(cmp.Or(first, l.First), l.First), max(last, l.Last)
	}
	lines = []string{}
	for _, x := range left {
		lines = append(lines, x.String())
	}
	slices.Sort(lines)
	return lines, first, last
}

// classesOf are what was stated of one patient's lines, and nobody else's, as far as
// a letter may say it.
func classesOf(p *Patient, stated []Class) []Class {
	own := []Class{}
	for _, c := range stated {
		if inLetters(c.Class) && slices.ContainsFunc(p.Batches, func(b Batch) bool { return slices.Contains(b.Lines, c.Line) }) {
			own = append(own, c)
		}
	}
	return own
}

// validClasses reports whether stated classes are in their one form.
func validClasses(stated []Class) bool {
	known := Classes()
	for i, c := range stated {
		if i > 0 && stated[i-1].Line >= c.Line || !slices.Contains(known, c.Class) {
			return false
		}
		if _, err := abaton.ParseLine(c.Line); err != nil {
			return false
		}
	}
	return true
}
