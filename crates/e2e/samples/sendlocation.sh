curl --location 'https://{{bot_url}}/api/sendlocation' \
--header 'secretkey: {{secret_key}}' \
--header 'Content-Type: application/json' \
--data '{
"nohp" :"628123xxxxxx",
"latitude" :"0.525960",
"longitude" :"101.426866",
"pesan" : "Kantor Pusat",
"notifyurl" : "https://yourdomain/your_notify_url"
}'
