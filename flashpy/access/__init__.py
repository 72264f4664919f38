"""Who may have what: client networks, signed addresses and passwords. Judged per request, with time as an argument."""
