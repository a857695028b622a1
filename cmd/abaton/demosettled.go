package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// settledWait is how long the demo waits for every record to be at all five
// keepers: acknowledged is at four, and from those only one may be lost.
const settledWait = time.Minute

// settled waits until the gateway's outbox is empty, so that any two keepers
// may go (invariant 5). It asks the gateway's own status.
func (d *demo) settled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settledWait)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if waiting, err := d.waiting(ctx); err == nil && waiting == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for all five keepers: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// waiting is how many batches are not yet at every keeper.
func (d *demo) waiting(ctx context.Context) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.n.GatewayURL()+"/status", nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Accept", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var said struct {
		Outbox struct{ Waiting, Behind int }
	}
	if err := json.NewDecoder(resp.Body).Decode(&said); err != nil {
		return 0, err
	}
	return said.Outbox.Waiting + said.Outbox.Behind, nil
}
