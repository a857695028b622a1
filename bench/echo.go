package main

import (
	"context"
	"net"

	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
)

// echo answers over the same TLS and table as a keeper, doing nothing.
func echo() (base string, pin [32]byte, stop func(), err error) {
	table, err := keeper.Seal([]keeper.Route{{
		Method: "POST", Path: "/echo", Policy: keeper.ByRequest, BodyMax: 1 << 20, Content: keeper.ContentCBOR, Reply: keeper.ContentCBOR,
		Handle: func(_ context.Context, _ string, body []byte) ([]byte, error) { return body, nil },
	}})
	if err != nil {
		return "", pin, nil, err
	}
	scalar := key.NewSecret()
	scalar[0] = 1 // below the order of P-256
	cert, pin, err := keeper.NewCertificate(scalar[:])
	if err != nil {
		return "", pin, nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", pin, nil, err
	}
	web := keeper.NewHTTPServer(keeper.NewHandler(table, nil, nil, nil))
	web.TLSConfig = keeper.TLSConfig(cert)
	go web.ServeTLS(ln, "", "") // ends with stop
	return "https://" + ln.Addr().String(), pin, func() { web.Close() }, nil
}
