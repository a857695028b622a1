//go:build !unix

package client

import (
	"fmt"
	"os"
)

// lockFolder refuses where the system has no lock that ends with its process.
func lockFolder(string) (*os.File, error) {
	return nil, fmt.Errorf("lock outbox: %w", os.ErrInvalid)
}
