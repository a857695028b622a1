package emergency

import (
	"context"

	"github.com/abaton-health/abaton/keeper"
)

// RouteLend is the one route of an authority. It speaks as keepers do: TLS 1.3
// with a pinned key, CBOR, refusals as problem documents.
const RouteLend = "/v1/lend"

// Table is the authority's sealed set of routes, for keeper.NewHandler.
func (a *Authority) Table() (*keeper.Table, error) {
	return keeper.Seal([]keeper.Route{{
		Method: "POST", Path: RouteLend, Policy: keeper.ByRequest, BodyMax: BodyMax, Content: keeper.ContentCBOR, Reply: keeper.ContentCBOR,
		Handle: func(ctx context.Context, _ string, body []byte) ([]byte, error) { return a.Lend(ctx, body) },
	}})
}

// Remote is an authority over a network; *keeper.Client calls it.
type Remote struct {
	To interface {
		Call(ctx context.Context, route string, body []byte) ([]byte, error)
	}
}

// Lend of the authority (Lender).
func (r Remote) Lend(ctx context.Context, body []byte) ([]byte, error) {
	return r.To.Call(ctx, RouteLend, body)
}
