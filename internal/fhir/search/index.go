package search

import (
	"unsafe"

	"github.com/abaton-health/abaton/internal/fhir"
)

// An Index holds what the current resources of one chart are found by. Put
// and Remove need to be alone; any number may search at once when nothing is
// put. It is a fhir.Indexer.
type Index struct {
	space   *Space
	tables  map[string]*table
	systems map[uint64]uint32 // hash of a code system or unit -> its number here
	texts   map[string]string // strings that repeat, once
	owned   int               // bytes of those strings
}

// NewIndex is an empty index of the space.
func (s *Space) NewIndex() *Index {
	return &Index{space: s, tables: make(map[string]*table), systems: make(map[uint64]uint32), texts: make(map[string]string)}
}

// A table is one type's rows, and a column for each path of its program.
type table struct {
	name    string
	program *program
	rows    []row
	live    bits
	byName  map[uint64]uint32 // hash of Type/id -> row
	columns []*column
}

type row struct {
	version *fhir.Version
	name    uint64 // hash of Type/id
}

// A column holds the entries of one path, in the order of rows. Only the list
// of its kind is used.
type column struct {
	tokens     []codeEntry // of a token; of a reference, its identifiers
	references []referenceEntry
	dates      []dateEntry
	texts      []textEntry // of a string or a uri
	numbers    []numberEntry
	quantities []quantityEntry
}

type codeEntry struct {
	code   uint64 // 0: an element without a code
	system uint32 // 0: none
	row    uint32
}

type referenceEntry struct {
	target uint64 // hash of Type/id, or of the whole text of any other form
	row    uint32
	of     uint8 // number of the type it points to; 0 if that is not known
}

type dateEntry struct {
	from, to int64 // microseconds since 1970, to not included
	row      uint32
}

type textEntry struct {
	raw, folded string
	row         uint32
}

type numberEntry struct {
	low, high float64
	row       uint32
}

type quantityEntry struct {
	low, high float64
	code      uint64
	unit      uint64
	system    uint32
	row       uint32
}

// Put indexes a resource as the current version, in place of the one before.
// A type without a program is passed over: fhir reads none such.
func (x *Index) Put(v *fhir.Version, r fhir.Resource) {
	t := x.table(v.Type)
	if t == nil || r.Kind() != fhir.Object {
		return
	}
	name := x.space.hashText(v.Type + "/" + v.ID)
	if was, ok := t.byName[name]; ok {
		t.live.clear(was)
	}
	at := uint32(len(t.rows))
	t.rows = append(t.rows, row{v, name})
	t.byName[name] = at
	t.live = t.live.grown(len(t.rows))
	t.live.set(at)
	w := walk{index: x, table: t, row: at, resource: r}
	w.visit(r.Value, t.program.trie)
}

// Remove takes a resource out, if it is there.
func (x *Index) Remove(name, id string) {
	t := x.tables[name]
	if t == nil {
		return
	}
	if at, ok := t.byName[x.space.hashText(name+"/"+id)]; ok {
		t.live.clear(at)
	}
}

func (x *Index) table(name string) *table {
	t := x.tables[name]
	if t != nil {
		return t
	}
	p := programs()[name]
	if p == nil {
		return nil
	}
	t = &table{name: name, program: p, byName: make(map[uint64]uint32), columns: make([]*column, len(p.columns))}
	x.tables[name] = t
	return t
}

// column is made when its first entry comes.
func (t *table) column(n int) *column {
	if t.columns[n] == nil {
		t.columns[n] = &column{}
	}
	return t.columns[n]
}

// system is the number of a code system, 0 for none.
func (x *Index) system(uri []byte) uint32 {
	if len(uri) == 0 {
		return 0
	}
	h := x.space.hash(uri)
	n, ok := x.systems[h]
	if !ok {
		n = uint32(len(x.systems) + 1)
		x.systems[h] = n
	}
	return n
}

// text is a string that is kept once however often it comes.
func (x *Index) text(b []byte) string {
	s, ok := x.texts[string(b)]
	if !ok {
		s = string(b)
		x.texts[s] = s
		x.owned += len(s)
	}
	return s
}

// Len is the number of resources that can be found.
func (x *Index) Len() (n int) {
	for _, t := range x.tables {
		n += t.live.count()
	}
	return n
}

// Bytes is about how much memory the index takes, without the versions it
// points to.
func (x *Index) Bytes() int {
	n := x.owned + 48*len(x.texts) + 16*len(x.systems)
	for _, t := range x.tables {
		n += cap(t.rows)*int(unsafe.Sizeof(row{})) + 8*cap(t.live) + 24*len(t.byName) + 8*len(t.columns)
		for _, c := range t.columns {
			if c == nil {
				continue
			}
			n += int(unsafe.Sizeof(*c)) + cap(c.tokens)*int(unsafe.Sizeof(codeEntry{})) +
				cap(c.references)*int(unsafe.Sizeof(referenceEntry{})) + cap(c.dates)*int(unsafe.Sizeof(dateEntry{})) +
				cap(c.texts)*int(unsafe.Sizeof(textEntry{})) + cap(c.numbers)*int(unsafe.Sizeof(numberEntry{})) +
				cap(c.quantities)*int(unsafe.Sizeof(quantityEntry{}))
		}
	}
	return n
}
