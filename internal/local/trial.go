package local

import (
	"context"
	"errors"
	"os"
	"path/filepath"
)

// A Trial is a network that runs for as long as one measurement or drill.
type Trial struct {
	*Network
	*Processes
	own string // the folder that goes with it, empty for one that stays
}

// Try makes a network of the binaries in a folder and starts it: in dir, which
// must not exist, or, where dir is empty, in a folder of its own that End
// removes.
func Try(ctx context.Context, dir, binaries string) (t *Trial, err error) {
	t = &Trial{}
	if dir == "" {
		if t.own, err = os.MkdirTemp("", "abaton-trial-"); err != nil {
			return nil, err
		}
		dir = filepath.Join(t.own, "network")
	}
	if binaries, err = filepath.Abs(binaries); err == nil {
		t.Network, err = Make(ctx, dir, Options{Binaries: binaries})
	}
	if err == nil {
		t.Processes, err = t.Network.Start(ctx, binaries)
	}
	if err != nil {
		return nil, errors.Join(err, t.remove())
	}
	return t, nil
}

// End stops the processes.
func (t *Trial) End() error { return errors.Join(t.Stop(), t.remove()) }

func (t *Trial) remove() error {
	if t.own == "" {
		return nil
	}
	return os.RemoveAll(t.own)
}
