package client

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/quorum"
	"github.com/abaton-health/abaton/keeper"
)

// Opening is an emergency opening as several keepers tell it.
type Opening struct {
	keeper.Opening                      // Verdict and Second: what more than f keepers say alike
	Keepers        []abaton.KeeperIndex // who tell of it, ascending; T and more: it opened
}

// Openings lists emergency openings: of patients, asked by the patient or a
// helper; by clinicians, asked by themselves, their organisation or its
// security officer. It is the union of all keepers that answer, at least R, by
// time. What one keeper alone tells may be made up.
func (n *Network) Openings(ctx context.Context, ids ...abaton.ActorID) ([]Opening, error) {
	m := openings{n: n, asked: ids, at: make(map[keeper.Opening]*spoken)}
	for part := range slices.Chunk(ids, keeper.QueryActorsMax) {
		step := quorum.NewCollect(n.params, n.params.N, n.params.R())
		if err := n.query(ctx, keeper.QueryOpened, part, step, m.take); err != nil {
			return nil, fmt.Errorf("list emergencies: %w", err)
		}
	}
	return m.list(), nil
}

// openings are answers being put together.
type openings struct {
	n     *Network
	asked []abaton.ActorID
	at    map[keeper.Opening]*spoken // by what all say alike
}

// spoken is what keepers say of one opening.
type spoken struct {
	by       []abaton.KeeperIndex
	first    uint64 // earliest keeper's time
	verdicts map[verdictOf]int
}

type verdictOf struct {
	verdict uint8
	second  abaton.ActorID
}

func (m *openings) take(s *keeper.Statements) error {
	if len(s.Openings) > keeper.OpeningsMax {
		return errAnswer
	}
	for _, o := range s.Openings {
		if o.Request == [32]byte{} || !slices.Contains(m.asked, o.Patient) && !slices.Contains(m.asked, o.Opener) {
			return errAnswer
		}
		said, at := verdictOf{o.Verdict, o.Second}, o.Time
		o.Verdict, o.Second, o.Time = 0, abaton.ActorID{}, 0
		have := m.at[o]
		if have == nil {
			have = &spoken{first: at, verdicts: make(map[verdictOf]int)}
			m.at[o] = have
		}
		if slices.Contains(have.by, s.Keeper) {
			continue
		}
		have.by = append(have.by, s.Keeper)
		have.first = min(have.first, at)
		have.verdicts[said]++
	}
	return nil
}

func (m *openings) list() []Opening {
	out := make([]Opening, 0, len(m.at))
	for o, have := range m.at {
		slices.Sort(have.by)
		o.Time = have.first
		most := 0
		for said, count := range have.verdicts {
			worse := count == most && said.verdict > o.Verdict // as many say one as the other: the doubt stays
			if said.verdict != 0 && count > m.n.params.F && (count > most || worse) {
				o.Verdict, o.Second, most = said.verdict, said.second, count
			}
		}
		out = append(out, Opening{Opening: o, Keepers: have.by})
	}
	slices.SortFunc(out, func(a, b Opening) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), slices.Compare(a.Request[:], b.Request[:]))
	})
	return out
}
