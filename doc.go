// Package abaton names the things of the system: patients and other actors,
// records, batches, lines, segments, keepers, purposes, and the errors and
// limits that every room shares.
//
// Abaton is a health record system in which a break-in finds nothing to read.
// A record is sealed where it is written, cut into pieces and spread over five
// independent keepers. Opening one takes the key of that part of the patient's
// record and three keepers that each verify the request and write it to a
// tamper-evident ledger before they answer.
//
// The shortest correct use is in the example: client.Put seals and spreads,
// client.Share grants, client.Get opens, client.Revoke takes the grant back.
//
// This package protects nothing by itself: it holds words, no mathematics and
// no authority. Names and limits of protocol version 1 do not change.
package abaton
