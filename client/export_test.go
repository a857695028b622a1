package client

import "github.com/abaton-health/abaton/internal/quorum"

// HedgeTest is longer than a read waits before it asks everybody.
const HedgeTest = 2 * quorum.HedgeAfter
