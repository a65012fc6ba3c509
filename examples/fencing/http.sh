#!/bin/sh
# Notes the last invoice that was sent: elector run ... /billing -- ./http.sh NUMBER
exec curl --silent --show-error --fail-with-body --request PUT \
    --header "Fencing-Token: $ELECTOR_TOKEN" --data-binary "$1" "$SERVICE/last-invoice"
