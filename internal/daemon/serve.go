package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// adminHeaderTimeout is how long a caller at the admin address has for its headers.
const adminHeaderTimeout = 5 * time.Second

// Admin serves routes at an address of this machine; with no address it serves
// nothing. Whoever has it closes it.
func Admin(addr string, routes *http.ServeMux) (*http.Server, error) {
	admin := &http.Server{Handler: routes, ReadHeaderTimeout: adminHeaderTimeout}
	if addr == "" {
		return admin, nil
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	go admin.Serve(ln) // ends with admin.Close
	return admin, nil
}

// Alive answers GET /health of a daemon that is well as long as it answers.
func Alive(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }

// Service is what runs until it is told to end.
type Service struct {
	// Front answers at Listener, which is TLS where that is wanted.
	Front    *http.Server
	Listener net.Listener
	// Admin is closed at the end.
	Admin *http.Server
	// Beside runs beside Front and ends with its context, which ends before Front
	// is shut down. An error ends the service.
	Beside []func(context.Context) error
	// Grace is how long running requests may take to end.
	Grace time.Duration
}

// Run serves until ctx ends or something fails, lets running requests finish, and
// returns when nothing that it started runs any more.
func (s Service) Run(ctx context.Context) error {
	failed := make(chan error, 1+len(s.Beside))
	var wg sync.WaitGroup
	beside, end := context.WithCancel(ctx)
	defer end()
	for _, run := range s.Beside {
		wg.Go(func() {
			if err := run(beside); err != nil {
				failed <- err
			}
		})
	}
	wg.Go(func() {
		if err := s.Front.Serve(s.Listener); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serve: %w", err)
		}
	})
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	end()
	grace, stop := context.WithTimeout(context.WithoutCancel(ctx), s.Grace)
	defer stop()
	err = errors.Join(err, s.Front.Shutdown(grace), s.Admin.Close())
	wg.Wait()
	return err
}
