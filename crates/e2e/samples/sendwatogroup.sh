curl --location 'https://{{bot_url}}/api/sendwatogroup' \
--header 'secretkey: {{secret_key}};' \
--header 'Content-Type: application/json' \
--data '{
    "groupid": "120363xxxxxxxxxxx",
    "pesan": "Test kirim text",
    "notifyurl": "https://yourdomain/your_notify_url"
}'
