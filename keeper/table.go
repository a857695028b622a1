package keeper

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/abaton-health/abaton"
)

// Policy says how a route's callers are authenticated. The zero Policy cannot
// be registered, so a route without one does not exist.
type Policy uint8

// The policies. None of them is "open": evidence routes give signed hashes
// that witnesses and auditors must be able to read, and nothing else.
const (
	BySession      Policy = 1 + iota // the statement is its own proof (passkey)
	ByRequest                        // signed by a live session key
	ByWriter                         // HEAD and LOCK carry the writer's signature
	ByLocker                         // LOCK carries the locker's signature
	ByEvent                          // the event carries its own proofs
	ByCertificate                    // four keepers' signatures
	ByReceipts                       // keepers' signatures on receipts
	ByQuery                          // signed by a live key or a keeper
	ByCheckpoint                     // the checkpoint carries a peer's signature
	ByPeer                           // signed by a keeper of the set, for its own place
	ByOrganisation                   // signed by a live key of an admitted organisation
	AsEvidence                       // signed checkpoints and salted hashes
)

// Route is one entry of the sealed table.
type Route struct {
	Method  string // GET or POST
	Path    string // exact, or a prefix when it ends in "/"
	Policy  Policy
	BodyMax int64  // bytes; 0 for GET
	Content string // content type of the request body, exact
	Reply   string // content type of the answer
	Handle  func(ctx context.Context, path string, body []byte) ([]byte, error)
}

// Table is a sealed set of routes.
type Table struct {
	exact  map[string]Route
	prefix []Route
}

// Seal checks that every route is complete and returns the table; it names
// the first route that is not.
func Seal(routes []Route) (*Table, error) {
	t := &Table{exact: make(map[string]Route)}
	for _, r := range routes {
		if err := r.complete(); err != nil {
			return nil, err
		}
		if strings.HasSuffix(r.Path, "/") {
			t.prefix = append(t.prefix, r)
			continue
		}
		if _, twice := t.exact[r.Path]; twice {
			return nil, fmt.Errorf("route %s: registered twice", r.Path)
		}
		t.exact[r.Path] = r
	}
	return t, nil
}

func (r Route) complete() error {
	switch {
	case r.Policy == 0 || r.Policy > AsEvidence:
		return fmt.Errorf("route %s: no policy", r.Path)
	case r.Handle == nil:
		return fmt.Errorf("route %s: no handler", r.Path)
	case !strings.HasPrefix(r.Path, "/") || r.Reply == "":
		return fmt.Errorf("route %q: path or reply type missing", r.Path)
	case r.Method == "POST" && (r.BodyMax <= 0 || r.Content == ""):
		return fmt.Errorf("route %s: no body cap or content type", r.Path)
	case r.Method != "POST" && (r.Method != "GET" || r.BodyMax != 0):
		return fmt.Errorf("route %s: method %s", r.Path, r.Method)
	case r.Method == "GET" && r.Policy != AsEvidence:
		return fmt.Errorf("route %s: only evidence is read by GET", r.Path)
	}
	return nil
}

// find gives the route of an exact path, or of a prefix; paths with empty,
// dot or encoded segments match nothing.
func (t *Table) find(path string) (Route, bool) {
	if r, ok := t.exact[path]; ok {
		return r, true
	}
	if strings.Contains(path, "//") || strings.Contains(path, "..") || strings.Contains(path, "%") {
		return Route{}, false
	}
	for _, r := range t.prefix {
		if strings.HasPrefix(path, r.Path) {
			return r, true
		}
	}
	return Route{}, false
}

// Paths lists the table, sorted, for audits.
func (t *Table) Paths() []string {
	var out []string
	for p, r := range t.exact {
		out = append(out, r.Method+" "+p)
	}
	for _, r := range t.prefix {
		out = append(out, r.Method+" "+r.Path)
	}
	sort.Strings(out)
	return out
}

// Call answers a POST without a network, as a keeper in the same process: the
// same table, caps and handlers. Errors are those Client.Call gives.
func (t *Table) Call(ctx context.Context, route string, body []byte) ([]byte, error) {
	r, ok := t.find(route)
	if !ok || r.Method != "POST" {
		return nil, abaton.Refuse(abaton.ReasonRoute)
	}
	if int64(len(body)) > r.BodyMax {
		return nil, abaton.Refuse(abaton.ReasonTooLarge)
	}
	return r.Handle(ctx, route, body)
}

// Fetch answers a GET without a network.
func (t *Table) Fetch(ctx context.Context, path string) ([]byte, error) {
	r, ok := t.find(path)
	if !ok || r.Method != "GET" {
		return nil, abaton.Refuse(abaton.ReasonRoute)
	}
	return r.Handle(ctx, path, nil)
}
