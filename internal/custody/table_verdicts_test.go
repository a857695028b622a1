package custody_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// hears hands one signed verdict to a keeper.
func (w *circle) hears(x abaton.KeeperIndex, message []byte) abaton.Reason {
	answer, err := w.Keepers[x].Call(context.Background(), keeper.RouteVerdict, wire.Marshal(keeper.Verdicts{V: wire.Version, Verdicts: [][]byte{message}}))
	if err != nil {
		return whyNot(err)
	}
	var r keeper.Results
	if err := wire.Unmarshal(answer, &r); err != nil || len(r.Results) != 1 {
		return abaton.ReasonMalformed
	}
	return r.Results[0].Reason
}

// verdictRows is the row of what the fifth keeper says of a session.
func verdictRows(t *testing.T) (*custodytest.Network, []row) {
	w := newCircle(t)
	own := w.Keepers[5].Identity.Key
	say := func(by *key.Signing, after time.Duration, change func(*contain.Verdict)) *said {
		at := time.Now().Add(after).Unix()
		v := contain.Verdict{V: wire.Version, Keeper: 5, Organisation: w.org.ID, Subject: contain.Session(abaton.SessionID{1}),
			Level: detect.SuspendSession, Rules: detect.Of(detect.D5), Time: at, Until: at + 1800}
		rand.Read(v.Nonce[:])
		if change != nil {
			change(&v)
		}
		return &said{body: wire.Marshal(v), seal: signedBy(wire.Verdict, by, w.ana.Manage), max: contain.BytesMax, send: w.hears}
	}
	with := func(by *key.Signing, change func(*contain.Verdict)) func(*testing.T) []try {
		return func(*testing.T) []try { return rightly(say(by, 0, change)) }
	}
	no, form := refuses(abaton.ReasonSignature), refuses(abaton.ReasonMalformed)
	return w.Network, []row{{
		name: "verdict", is: []string{"label " + string(wire.Verdict)}, zero: contain.Verdict{}, at: []abaton.KeeperIndex{1, 2, 3, 4}, // the fifth says it
		say: func(_ *testing.T, after time.Duration) *said { return say(own, after, nil) },
		cells: map[defect]cell{
			forged: no, foreign: no, removed: no.by(with(w.gone, nil)),
			unknown:   refuses(abaton.ReasonPeer).by(with(own, func(v *contain.Verdict) { v.Keeper = 9 })),
			replayed:  {same: true},
			reordered: cannot("of two about one subject the one that ends later holds, however they come (internal/contain)"),
			forked:    cannot("two words of one keeper are one keeper's: TestOneLyingKeeper"),
			expired:   refuses(abaton.ReasonExpired), early: refuses(abaton.ReasonTime),
			truncated: form, oversized: refuses(abaton.ReasonTooLarge), loose: form, unforeseen: form, zeroValue: form,
		},
	}}
}
