package gateway

import (
	"context"
	"net/http"
	"slices"
	"sync"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/key"
)

// depositsMax bounds how many grants' line maps are kept; the next look opens
// the wrap again.
const depositsMax = 100_000

// deposits are the maps from category to line that patients gave this
// organisation with their deposit grants. They hold no seed.
type deposits struct {
	mu sync.Mutex
	by map[abaton.GrantID]map[fhir.Category]abaton.Line
}

// lineFor is the line under which something of a category is written for a
// patient: only one that a live grant lets this organisation deposit to.
// There is no falling back to a less sensitive one.
func (g *Gateway) lineFor(ctx context.Context, p *person, home abaton.ActorID, category fhir.Category) (abaton.Line, error) {
	if home == g.org {
		line, ok := p.line(home, login.DirectoryCategory())
		if !ok {
			return line, refusal(http.StatusForbidden, "forbidden", "this session cannot tell the directory's line; sign in again with a grant to the directory")
		}
		return line, nil
	}
	state, err := g.network.Log(ctx, home)
	if err != nil {
		return abaton.Line{}, err
	}
	for id, live := range state.Grants() {
		if !g.depositsUnder(live) {
			continue
		}
		if line, ok := g.linesOf(state, id)[category]; ok && live.Covers(line) {
			return line, nil
		}
	}
	return abaton.Line{}, refusal(http.StatusForbidden, "forbidden", "the part of the record this belongs to takes no deposits from this organisation; ask the patient for a deposit grant that covers it")
}

func (g *Gateway) depositsUnder(live *grant.Grant) bool {
	now := g.now().Unix()
	return live.Grantee == g.org && live.Actions&grant.Deposit != 0 && now >= live.NotBefore && now < live.Expires &&
		slices.ContainsFunc(live.Purposes, abaton.Purpose.Valid)
}

// linesOf is which line is which category by one grant to this organisation.
func (g *Gateway) linesOf(state *actor.State, id abaton.GrantID) map[fhir.Category]abaton.Line {
	g.deposits.mu.Lock()
	known := g.deposits.by[id]
	g.deposits.mu.Unlock()
	if known != nil {
		return known
	}
	lines := unwrapLines(g.orgBox, state, id)
	g.deposits.mu.Lock()
	defer g.deposits.mu.Unlock()
	if len(g.deposits.by) >= depositsMax {
		clear(g.deposits.by)
	}
	g.deposits.by[id] = lines
	return lines
}

// unwrapLines opens the organisation's wrap of a grant; empty if it does not
// open, which lets nothing be written under it.
func unwrapLines(box *key.Box, state *actor.State, id abaton.GrantID) map[fhir.Category]abaton.Line {
	lines := make(map[fhir.Category]abaton.Line)
	given, ok := state.Given(id)
	if !ok {
		return lines
	}
	seeds, err := grant.Unwrap(box, given.Grant, given.Wrap)
	if err != nil {
		return lines
	}
	for _, s := range seeds {
		if c, ok := fhir.CategoryByID(s.Category); ok {
			lines[c] = s.Line
		}
	}
	return lines
}
