// Package alert tells the operator at once what cannot wait for Monday's look
// at the audit: a new vendor, a third party that no rule knows, a tag that fired
// without consent, receipts that cannot be written.
//
// Each alert is logged. Where a webhook is configured it is also sent there, as
// JSON signed by the Standard Webhooks scheme (standardwebhooks.com): HMAC-SHA256
// over id, time and body. What cannot be delivered is tried again for about a
// day; at most MaxQueue messages wait, and the oldest make room. An alert carries
// what the audit holds and no more: nothing of a visitor.
//
//	w := alert.New(store, alert.Options{Webhook: url, Secret: secret, Log: log})
//	go w.Run(ctx)
package alert
