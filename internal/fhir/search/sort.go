package search

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
)

// A sortRule is one key of _sort.
type sortRule struct {
	name string // _lastUpdated, _id or a parameter's
	of   *parameter
	down bool
}

// A Key is what a resource sorts by under one rule: one without a value comes
// last either way.
type Key struct {
	_       struct{} `cbor:",toarray"`
	Missing bool
	Number  int64  // of a date, microseconds; of a number, bits that sort as it does
	Text    string // of all others, cut to keyBytesMax
}

// keyBytesMax bounds a key, so that a cursor fits a link; longer texts that
// begin alike sort by type and id.
const keyBytesMax = 96

// A Cursor is a place in an answer's order: behind this resource. It holds
// patient facts (the keys), so it leaves the process only sealed.
type Cursor struct {
	Keys []Key  `cbor:"1,keyasint"`
	Type string `cbor:"2,keyasint"` // of the last resource of the page
	ID   string `cbor:"3,keyasint"`
}

// A hit is a resource that was found.
type hit struct {
	index *Index
	table *table
	row   uint32
	keys  []Key
}

func (h *hit) version() *fhir.Version { return h.table.rows[h.row].version }

// sortBy compiles _sort.
func (q *Query) sortBy(text string) error {
	for name := range strings.SplitSeq(text, ",") {
		name, down := strings.CutPrefix(strings.TrimSpace(name), "-")
		rule := sortRule{name: name, down: down}
		if name != "_lastUpdated" && name != "_id" {
			p := programs()[q.Type].parameters[name]
			if p == nil || p.kind == kindComposite || p.kind == kindPosition {
				return skip("one of its keys cannot be sorted by")
			}
			rule.of = p
		}
		if q.sort = append(q.sort, rule); len(q.sort) > sortMax {
			return bad("too-costly", "_sort has too many keys; use fewer")
		}
	}
	return nil
}

// keyed gives hits their keys.
func (q *Query) keyed(hits []hit) error {
	keys := make([]Key, len(hits)*len(q.sort))
	for i := range hits {
		hits[i].keys = keys[i*len(q.sort) : (i+1)*len(q.sort) : (i+1)*len(q.sort)]
		for n := range q.sort {
			k, err := hits[i].key(&q.sort[n])
			if err != nil {
				return err
			}
			hits[i].keys[n] = k
		}
	}
	return nil
}

// key is the least value of a resource under a rule, the greatest if the rule
// goes down.
func (h *hit) key(rule *sortRule) (Key, error) {
	switch {
	case rule.name == "_id":
		return Key{Text: h.version().ID}, nil
	case rule.of == nil:
		return Key{Number: h.version().LastUpdated.UnixMicro()}, nil
	case rule.of.kind == kindCode || rule.of.kind == kindReference:
		return h.readKey(rule)
	}
	best := Key{Missing: true}
	for i := range rule.of.branches {
		if c := h.table.columns[rule.of.branches[i].column]; c != nil {
			c.keys(h.row, rule.down, func(k Key) { best = rule.better(best, k) })
		}
	}
	return best, nil
}

func (r *sortRule) better(a, b Key) Key {
	if a.Missing {
		return b
	}
	if c := compareKeys(a, b); c > 0 && !r.down || c < 0 && r.down {
		return b
	}
	return a
}

// readKey reads the text of a code or reference, which no column holds.
func (h *hit) readKey(rule *sortRule) (Key, error) {
	r, err := fhir.ParseResource(h.version().Body)
	if err != nil {
		return Key{}, err
	}
	best := Key{Missing: true}
	for i := range rule.of.branches {
		b := &rule.of.branches[i]
		for v := range b.values(r.Value) {
			if b.kind == kindReference {
				text := v.Text() // a canonical
				if v.Kind() == fhir.Object {
					text = v.Get("reference").Text()
				}
				if ref, ok := fhir.ParseRef(text); text != "" && (b.only == "" || ok && ref.Type == b.only) {
					best = rule.better(best, textKey(text))
				}
				continue
			}
			for t := range codesOf(b.element, v) {
				if len(t.code) > 0 {
					best = rule.better(best, textKey(string(t.system)+"|"+string(t.code)))
				}
			}
		}
	}
	return best, nil
}

func textKey(s string) Key {
	if len(s) > keyBytesMax {
		s = strings.ToValidUTF8(s[:keyBytesMax], "")
	}
	return Key{Text: s}
}

// floatKey orders as the numbers do.
func floatKey(f float64) Key {
	n := int64(math.Float64bits(f))
	if n < 0 {
		n ^= math.MaxInt64
	}
	return Key{Number: n}
}

// keys are those of one row.
func (c *column) keys(row uint32, down bool, yield func(Key)) {
	for i := firstOf(c.dates, row, func(e *dateEntry) uint32 { return e.row }); i < len(c.dates) && c.dates[i].row == row; i++ {
		if down {
			yield(Key{Number: c.dates[i].to})
		} else {
			yield(Key{Number: c.dates[i].from})
		}
	}
	for i := firstOf(c.texts, row, func(e *textEntry) uint32 { return e.row }); i < len(c.texts) && c.texts[i].row == row; i++ {
		if text := c.texts[i].folded; text != "" {
			yield(textKey(text))
		} else {
			yield(textKey(c.texts[i].raw))
		}
	}
	for i := firstOf(c.numbers, row, func(e *numberEntry) uint32 { return e.row }); i < len(c.numbers) && c.numbers[i].row == row; i++ {
		yield(floatKey(c.numbers[i].low))
	}
	for i := firstOf(c.quantities, row, func(e *quantityEntry) uint32 { return e.row }); i < len(c.quantities) && c.quantities[i].row == row; i++ {
		yield(floatKey(c.quantities[i].low))
	}
}

// firstOf is the first entry of a row: entries lie in the order of rows.
func firstOf[E any](entries []E, row uint32, of func(*E) uint32) int {
	low, high := 0, len(entries)
	for low < high {
		if mid := (low + high) / 2; of(&entries[mid]) < row {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Number, b.Number), strings.Compare(a.Text, b.Text))
}

// compare is the order of an answer: the keys, then type and id.
func (q *Query) compare(a []Key, aType, aID string, b []Key, bType, bID string) int {
	for i := range q.sort {
		switch {
		case a[i].Missing && b[i].Missing:
			continue
		case a[i].Missing:
			return 1
		case b[i].Missing:
			return -1
		}
		if c := compareKeys(a[i], b[i]); c != 0 {
			if q.sort[i].down {
				return -c
			}
			return c
		}
	}
	return cmp.Or(strings.Compare(aType, bType), strings.Compare(aID, bID))
}

func (q *Query) compareHits(a, b hit) int {
	x, y := a.version(), b.version()
	return q.compare(a.keys, x.Type, x.ID, b.keys, y.Type, y.ID)
}

// page sorts what comes after a cursor and keeps the first count; more tells
// whether there is anything behind. A large answer is not sorted whole: what
// cannot be on the page is dropped on the way.
func (q *Query) page(hits []hit, after *Cursor, count int) (page []hit, more bool) {
	if after != nil {
		hits = slices.DeleteFunc(hits, func(h hit) bool {
			v := h.version()
			return q.compare(h.keys, v.Type, v.ID, after.Keys, after.Type, after.ID) <= 0
		})
	}
	if count == 0 {
		return nil, false
	}
	if window := 2*count + 2; len(hits) > 2*window {
		kept, bounded := hits[:0:0], false
		for _, h := range hits {
			if len(kept) == window {
				slices.SortFunc(kept, q.compareHits)
				kept, bounded = kept[:count+1], true
			}
			if !bounded || q.compareHits(h, kept[count]) < 0 {
				kept = append(kept, h)
			}
		}
		hits = kept
	}
	slices.SortFunc(hits, q.compareHits)
	if len(hits) > count {
		return hits[:count], true
	}
	return hits, false
}
