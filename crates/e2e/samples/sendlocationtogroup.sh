curl --location 'https://{{bot_url}}/api/sendlocationtogroup' \
--header 'secretkey: {{secret_key}};' \
--header 'Content-Type: application/json' \
--data '{
    "groupid" : "120363xxxxxxxxxxx",
    "latitude" : "0.525960",
    "longitude" : "101.426866",
    "pesan" : "Kantor Pusat",
    "notifyurl" : "https://yourdomain/your_notify_url"
}'
