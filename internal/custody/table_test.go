package custody_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// The table of every signed statement and every defect: five real keepers refuse
// each cell for the reason that stands in it, and nothing at them changes. Its
// rows are held against what the code knows (registry_test.go): a new kind
// without a row fails, and so does a row with an empty cell.

// defect is a column of the table.
type defect string

const (
	forged     defect = "forged signature"
	foreign    defect = "foreign key"
	replayed   defect = "replayed"
	reordered  defect = "reordered"
	forked     defect = "forked"
	expired    defect = "expired"
	early      defect = "from the future"
	removed    defect = "by a removed key"
	unknown    defect = "by or for an unknown actor"
	truncated  defect = "truncated"
	oversized  defect = "oversized"
	loose      defect = "not canonical"
	unforeseen defect = "unknown field"
	zeroValue  defect = "zero value"
)

// defects in the order in which a row meets them: what moves a log comes last.
var defects = []defect{forged, foreign, reordered, expired, early, removed, unknown, truncated, oversized,
	loose, unforeseen, zeroValue, replayed, forked}

// hand is who signs. The zero hand is the right one.
type hand uint8

const (
	forging hand = iota + 1 // the right key's name, another's signature
	strange                 // a live key of somebody else
)

// said is one statement, ready to be spoiled.
type said struct {
	body []byte                                                   // the canonical map that is signed
	seal func(body []byte, by hand) []byte                        // the message
	send func(x abaton.KeeperIndex, message []byte) abaton.Reason // empty: taken
	big  func() []byte                                            // a message over the limit, right otherwise; nil: padded to max
	max  int                                                      // bytes of the largest message
	deep func(change func([]byte) []byte) []byte                  // message with its inner part changed and signed anew; may be nil
}

func (s *said) right() []byte { return s.seal(s.body, 0) }

// try is one spoiled statement on its way to each keeper.
type try func(x abaton.KeeperIndex) abaton.Reason

// cell says what becomes of one defect of one kind. Exactly one of want, same
// and why is set; what it does is the column's own way unless tries are given.
type cell struct {
	want    abaton.Reason // each keeper's answer
	same    bool          // it is answered as before, and nothing changes
	why     string        // the defect cannot be
	found   abaton.Reason // the finding that each try is at each keeper
	entries uint64        // refusals ledgered by each try
	moves   bool          // it takes something away all the same
	tries   func(t *testing.T) []try
}

func refuses(r abaton.Reason) cell              { return cell{want: r} }
func ledgers(r abaton.Reason) cell              { return cell{want: r, entries: 1} }
func cannot(why string) cell                    { return cell{why: why} }
func (c cell) finds(r abaton.Reason) cell       { c.found = r; return c }
func (c cell) by(f func(*testing.T) []try) cell { c.tries = f; return c }

// row is one kind of statement.
type row struct {
	name  string
	is    []string // what it is in the registries of the code
	say   func(t *testing.T, after time.Duration) *said
	zero  any                  // its zero value
	at    []abaton.KeeperIndex // whom it is told; nil: all five
	cells map[defect]cell
}

// over is base with some cells replaced.
func over(base map[defect]cell, some map[defect]cell) map[defect]cell {
	all := maps.Clone(base)
	maps.Copy(all, some)
	return all
}

// tally counts cells.
type tally struct {
	kinds, ran, tries int
	excused           []string
}

// walk runs every cell of a row at all five keepers.
func (n *tally) walk(t *testing.T, w *custodytest.Network, r row) {
	t.Helper()
	n.kinds++
	for d := range r.cells {
		if !slices.Contains(defects, d) {
			t.Errorf("%s: %q is no column", r.name, d)
		}
	}
	for _, d := range defects {
		c, there := r.cells[d]
		switch {
		case !there || c.want == "" && !c.same && c.why == "":
			t.Errorf("%s, %s: the cell is empty", r.name, d)
		case c.why != "":
			n.excused = append(n.excused, fmt.Sprintf("%s, %s: %s", r.name, d, c.why))
		default:
			n.ran++
			n.tries += c.run(t, w, &r, d)
		}
	}
}

func (c cell) run(t *testing.T, w *custodytest.Network, r *row, d defect) int {
	t.Helper()
	tries := c.tries
	if tries == nil {
		tries = func(t *testing.T) []try { return r.usual(t, d) }
	}
	all := tries(t)
	if len(all) == 0 {
		t.Errorf("%s, %s: nothing was tried", r.name, d)
	}
	for i, one := range all {
		for _, x := range r.keepers() {
			before := stateOf(t, w, x)
			if got := one(x); got != c.want {
				t.Errorf("%s, %s, try %d, keeper %d: got %q, want %q", r.name, d, i+1, x, got, c.want)
			}
			after := stateOf(t, w, x)
			if got := after.entries - before.entries; got != c.entries && !c.moves {
				t.Errorf("%s, %s, try %d, keeper %d: got %d ledger entries, want %d", r.name, d, i+1, x, got, c.entries)
			}
			if got := after.rose(before); got != c.found {
				t.Errorf("%s, %s, try %d, keeper %d: got finding %q, want %q", r.name, d, i+1, x, got, c.found)
			}
			if diff := after.unlike(before); diff != "" && !c.moves {
				t.Errorf("%s, %s, try %d, keeper %d: table %s of the store changed", r.name, d, i+1, x, diff)
			}
		}
	}
	return len(all) * len(r.keepers())
}

func (r *row) keepers() []abaton.KeeperIndex {
	all := five
	if len(r.at) > 0 {
		all = r.at
	}
	return all[:min(len(all), askedAtMost)]
}

// usual is the column's own way of spoiling.
func (r *row) usual(t *testing.T, d defect) []try {
	t.Helper()
	ahead := time.Duration(0)
	switch d {
	case expired:
		ahead = -time.Hour
	case early:
		ahead = 4 * time.Minute
	}
	s := r.say(t, ahead)
	give := func(messages ...[]byte) (all []try) {
		for _, m := range messages {
			all = append(all, func(x abaton.KeeperIndex) abaton.Reason { return s.send(x, m) })
		}
		return all
	}
	switch d {
	case forged:
		return give(s.seal(s.body, forging))
	case foreign:
		return give(s.seal(s.body, strange))
	case expired, early:
		return give(s.right())
	case truncated:
		m := s.right()
		return give(m[:len(m)-1], m[:len(m)/2], nil)
	case oversized:
		if s.big != nil {
			return give(s.big())
		}
		return give(append(s.right(), make([]byte, s.max)...))
	case zeroValue:
		return give(s.seal(wire.Marshal(r.zero), 0))
	case loose:
		return give(s.changed(loosened)...)
	case unforeseen:
		return give(s.changed(widened)...)
	case replayed:
		m := s.right()
		for _, x := range r.keepers() {
			if got := s.send(x, m); got != "" {
				t.Errorf("%s, rightly said, keeper %d: got %q, want it taken", r.name, x, got)
			}
		}
		return give(m)
	}
	t.Errorf("%s, %s: no way to spoil it is given", r.name, d)
	return nil
}

// changed are the messages with body, and inner part, changed and signed.
func (s *said) changed(change func([]byte) []byte) [][]byte {
	all := [][]byte{s.seal(change(s.body), 0)}
	if s.deep != nil {
		all = append(all, s.deep(change))
	}
	return all
}

// loosened has the length of its map in two bytes instead of one.
func loosened(body []byte) []byte { return append([]byte{0xb8, body[0] & 0x1f}, body[1:]...) }

// widened has a field 99 more.
func widened(body []byte) []byte {
	out := append([]byte{body[0] + 1}, body[1:]...)
	if body[0]&0x1f == 23 {
		out = append([]byte{0xb8, 24}, body[1:]...)
	}
	return append(out, 0x18, 99, 1)
}

// signedBy seals a body under a label.
func signedBy(label wire.Label, own, other *key.Signing) func([]byte, hand) []byte {
	return func(body []byte, by hand) []byte {
		k := own
		if by == strange {
			k = other
		}
		s := k.Seal(label, body)
		if by == forging {
			s.Sig[0] ^= 1
		}
		return wire.Marshal(s)
	}
}

// assertedBy seals a body with a passkey's assertion over its labelled hash.
func assertedBy(t *testing.T, label wire.Label, own, other *key.Passkey) func([]byte, hand) []byte {
	return func(body []byte, by hand) []byte {
		p := own
		if by == strange {
			p = other
		}
		a, err := p.Assert(wire.Hash(label, body))
		if err != nil {
			t.Fatal(err)
		}
		if by == forging {
			a.Sig[len(a.Sig)-1] ^= 1
		}
		return slices.Concat([]byte{0x82}, body, wire.Marshal(a))
	}
}

// whyNot is the reason of a refusal, or the status of one that has none.
func whyNot(err error) abaton.Reason {
	if e, ok := errors.AsType[*keeper.StatusError](err); ok {
		return abaton.Reason(fmt.Sprintf("status %d", e.Status))
	}
	if r := reasonOf(err); err == nil || r != "" {
		return r
	}
	return abaton.Reason(err.Error())
}

// held is what a keeper holds, but for its clockwork: ledger, cosignatures,
// remembered requests and findings.
type held struct {
	entries uint64
	found   map[abaton.Reason]uint64
	tables  map[byte][32]byte // digests
}

func stateOf(t *testing.T, w *custodytest.Network, x abaton.KeeperIndex) held {
	t.Helper()
	k := w.Keepers[x]
	h := held{entries: k.LedgerSize(), tables: make(map[byte][32]byte)}
	var err error
	if h.found, err = k.Findings(); err != nil {
		t.Fatal(err)
	}
	var table byte
	var sum hash.Hash
	done := func() {
		if sum != nil {
			h.tables[table] = [32]byte(sum.Sum(nil))
		}
	}
	err = k.Records.Scan(nil, nil, func(key, value []byte) bool { // in order: table by table
		if passing(key) {
			return true
		}
		if sum == nil || key[0] != table {
			done()
			table, sum = key[0], sha256.New()
		}
		sum.Write(wire.U32(uint32(len(key))))
		sum.Write(key)
		sum.Write(wire.U32(uint32(len(value))))
		sum.Write(value)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	done()
	return h
}

// passing are the tables of what a refusal may leave: 'o' and 'e' remember
// requests, 'd' points into the ledger, "rl" is the ledger.
func passing(key []byte) bool {
	return strings.ContainsRune("oed", rune(key[0])) || bytes.HasPrefix(key, []byte("rl")) || bytes.HasPrefix(key, []byte("xfinding/"))
}

// rose is the finding that was counted once more; empty: none.
func (h held) rose(was held) (which abaton.Reason) {
	for r, n := range h.found {
		switch n - was.found[r] {
		case 0:
		case 1:
			which += r
		default:
			which += "more than one " + r
		}
	}
	return which
}

// unlike names a table in which h is not as it was; empty: none.
func (h held) unlike(was held) string {
	for table := range 256 {
		if h.tables[byte(table)] != was.tables[byte(table)] {
			return fmt.Sprintf("%q", rune(table))
		}
	}
	return ""
}

// TestEveryStatementEveryDefect walks the table.
func TestEveryStatementEveryDefect(t *testing.T) {
	if testing.Short() {
		t.Skip("long; run without -short")
	}
	families := map[string]func(*testing.T) (*custodytest.Network, []row){
		"events":    eventRows,
		"requests":  requestRows,
		"peers":     peerRows,
		"deposits":  depositRows,
		"sessions":  sessionRows,
		"relations": relationRows,
		"verdicts":  verdictRows,
	}
	var mu sync.Mutex
	var all tally
	var everyRow []row
	var paths []string
	posted := make(map[string]bool)
	walked := 0
	t.Run("family", func(t *testing.T) {
		for name, family := range families {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				var n tally
				w, rows := family(t)
				for _, k := range w.Keepers {
					k.Intercept(func(route string, _ []byte) ([]byte, error) {
						mu.Lock()
						defer mu.Unlock()
						posted[route] = true
						return nil, nil
					})
				}
				for _, r := range rows {
					n.walk(t, w, r)
				}
				table, err := w.Keepers[1].Table()
				if err != nil {
					t.Fatal(err)
				}
				mu.Lock()
				defer mu.Unlock()
				all.kinds, all.ran, all.tries = all.kinds+n.kinds, all.ran+n.ran, all.tries+n.tries
				all.excused, everyRow, paths = append(all.excused, n.excused...), append(everyRow, rows...), table.Paths()
				walked++
			})
		}
	})
	checkExcuses(t, all.excused)
	if walked == len(families) { // -run may name one
		checkComplete(t, everyRow, posted, paths)
	}
	slices.Sort(all.excused)
	t.Logf("%d kinds x %d defects: %d cells run (%d answers of keepers), %d excused:\n  %s",
		all.kinds, len(defects), all.ran, all.tries, len(all.excused), strings.Join(all.excused, "\n  "))
}
