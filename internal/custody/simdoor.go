package custody

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
)

// Answers is the reading half of a keeper's shell without its goroutines: what
// Keeper says once Core has decided. The simulation answers with it, so that
// it runs the code that ships. It decides nothing and skips no check.
type Answers struct{ k *Keeper }

// Answers of this core. They are for the goroutine that runs it.
func (c *Core) Answers() *Answers {
	cfg := Config{Set: c.cfg.Set, Index: c.cfg.Index, Mutation: c.cfg.Mutation}
	return &Answers{k: &Keeper{cfg: cfg, shape: shapeOf(c.cfg.Set), store: c.store, core: c, replyMax: replyMax}}
}

// Reply is the unsealed answer to a request that Step has decided.
func (a *Answers) Reply(asked *session.Asked, out Output) (*keeper.Reply, error) {
	return a.k.reply(asked, out)
}

// Ledger is this keeper's ledger, for reading.
func (a *Answers) Ledger() *ledger.Log { return a.k.core.log }

// Remembered is the newest checkpoint of a peer that this keeper has
// cosigned; empty when there is none.
func (a *Answers) Remembered(peer abaton.KeeperIndex) []byte {
	p := a.k.cfg.Set.Keeper(peer)
	if p == nil {
		return nil
	}
	_, signed, _ := a.k.core.witness.Latest(p.Origin)
	return signed
}
