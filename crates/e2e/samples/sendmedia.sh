curl --location 'https://{{bot_url}}/api/sendmedia' \
--header 'secretkey: {{secret_key}}' \
--header 'Content-Type: application/json' \
--data '{
    "nohp": "628123xxxxxx",
    "pesan": "Test kirim text",
    "notifyurl":"https://yourdomain/your_notify_url",
    "mediaurl":"https://yourdomain/yourmedia.pdf"
}'
